#include "labels.h"

#define STIR(lane, word) ((lane) = ((lane) ^ (word)) * 0xD6E8FEB86659FD93ULL, (lane) ^= (lane) >> 32)
#define PIECE (1 << 20) /* bytes that are decoded together: as characters they may take four times as much memory */

static char *more(Buffer *buffer, size_t size)
{
    if (buffer->at == NULL || buffer->room - buffer->used < size) {
        size_t room = buffer->room * 2 + size + 1024;
        char *at = PyMem_Realloc(buffer->at, room);
        if (at == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        buffer->at = at;
        buffer->room = room;
    }
    buffer->used += size;
    return buffer->at + buffer->used - size;
}

int put(Buffer *buffer, const void *bytes, size_t size)
{
    char *to = more(buffer, size);

    if (to == NULL)
        return FAILED;
    if (size)
        memcpy(to, bytes, size);
    return 0;
}

uint64_t hash_of(Cursor p, size_t size, uint64_t seed)
{
    uint64_t one = seed ^ (size * 0x9E3779B97F4A7C15ULL), two = ~seed, word, next;

    for (; size >= 16; p += 16, size -= 16) { /* two lanes, since each step waits for the one before it */
        memcpy(&word, p, 8);
        memcpy(&next, p + 8, 8);
        STIR(one, word);
        STIR(two, next);
    }
    if (size >= 8) {
        memcpy(&word, p, 8);
        STIR(one, word);
        p += 8;
        size -= 8;
    }
    word = 0;
    memcpy(&word, p, size);
    STIR(two, word);
    STIR(one, two);
    return one;
}

/* Makes room for twice as many spellings. */
static int grow(Labels *of)
{
    size_t room = of->mask ? (of->mask + 1) * 2 : 64, at;
    Entry *entries = PyMem_Malloc(room * sizeof(Entry)), *old = of->entries;

    if (entries == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    for (at = 0; at < room; at++)
        entries[at].code = -1;
    for (at = 0; of->mask && at <= of->mask; at++)
        if (old[at].code >= 0) {
            size_t to = old[at].hash & (room - 1);
            while (entries[to].code >= 0)
                to = (to + 1) & (room - 1);
            entries[to] = old[at];
        }
    PyMem_Free(old);
    of->entries = entries;
    of->mask = room - 1;
    return 0;
}

/* Asks Python for the code and the mark of a label that was not met before; steals `label`. */
static int number(Labels *of, PyObject *label, Entry *entry)
{
    PyObject *code = label ? PyObject_GetItem(of->labels, label) : NULL;
    PyObject *mark = code && of->marks ? PyObject_CallFunctionObjArgs(of->marks, label, NULL) : NULL;

    entry->label = label;
    entry->code = code ? (int32_t)PyLong_AsLong(code) : -1;
    entry->mark = mark ? (uint8_t)PyLong_AsLong(mark) : 0;
    Py_XDECREF(code);
    Py_XDECREF(mark);
    if (!PyErr_Occurred())
        return 0;
    entry->code = -1;
    return FAILED;
}

static int is_ascii(const char *at, Py_ssize_t size)
{
    uint64_t all = 0, word;

    for (; size >= 8; at += 8, size -= 8) {
        memcpy(&word, at, 8);
        all |= word;
    }
    for (; size > 0; at++, size--)
        all |= (uint8_t)*at;
    return (all & 0x8080808080808080ULL) == 0;
}

int is_unicode(const char *at, Py_ssize_t size)
{
    PyObject *text;
    Py_ssize_t read;

    if (is_ascii(at, size))
        return 1;
    for (; size > 0; at += read, size -= read) {
        read = size < PIECE ? size : PIECE;
        text = PyUnicode_DecodeUTF8Stateful(at, read, "strict", size > PIECE ? &read : NULL);
        if (text == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_MemoryError))
                PyErr_Clear();
            return 0;
        }
        Py_DECREF(text);
    }
    return 1;
}

PyObject *decoded(const Text *text, PyObject *decode)
{
    PyObject *quoted, *label;

    if (text->flags & ESCAPED) {
        quoted = PyBytes_FromStringAndSize((const char *)text->at - 1, (Py_ssize_t)text->size + 2);
        label = quoted ? PyObject_CallFunctionObjArgs(decode, quoted, NULL) : NULL;
        Py_XDECREF(quoted);
    }
    else
        label = PyUnicode_DecodeUTF8((const char *)text->at, (Py_ssize_t)text->size, "strict");
    if (label == NULL && !PyErr_ExceptionMatches(PyExc_MemoryError))
        PyErr_Clear();
    return label;
}

const Entry *label_of(Labels *of, const Text *text, uint64_t seed, PyObject *decode, int *outcome)
{
    uint64_t hash;
    size_t at;
    PyObject *label;
    Entry *entry;

    *outcome = FAILED;
    if (text->at == NULL) {
        if (of->absent.code < 0 && number(of, Py_NewRef(Py_None), &of->absent) < 0)
            return NULL;
        return &of->absent;
    }
    if (of->last.code >= 0 && of->last.size == text->size
        && memcmp(of->spellings.at + of->last.at, text->at, text->size) == 0)
        return &of->last;
    if (of->used * 3 >= of->mask * 2 && grow(of) < 0)
        return NULL;
    hash = hash_of(text->at, text->size, seed);
    for (at = hash & of->mask; of->entries[at].code >= 0; at = (at + 1) & of->mask) {
        entry = &of->entries[at];
        if (entry->hash == hash && entry->size == text->size
            && memcmp(of->spellings.at + entry->at, text->at, text->size) == 0) {
            of->last = *entry;
            return &of->last;
        }
    }
    label = decode ? decoded(text, decode)
                   : PyBytes_FromStringAndSize((const char *)text->at, (Py_ssize_t)text->size);
    if (label == NULL) {
        *outcome = PyErr_Occurred() ? FAILED : REFUSED;
        return NULL;
    }
    entry = &of->entries[at];
    entry->hash = hash;
    entry->size = text->size;
    entry->at = of->spellings.used;
    if (put(&of->spellings, text->at, text->size) < 0) {
        Py_DECREF(label);
        return NULL;
    }
    if (number(of, label, entry) < 0) {
        Py_DECREF(label);
        return NULL;
    }
    of->used++;
    of->last = *entry;
    return &of->last;
}

void forget(Labels *of)
{
    size_t at;

    for (at = 0; of->mask && at <= of->mask; at++)
        if (of->entries[at].code >= 0)
            Py_DECREF(of->entries[at].label);
    if (of->absent.code >= 0)
        Py_DECREF(of->absent.label);
    Py_XDECREF(of->labels);
    Py_XDECREF(of->marks);
    PyMem_Free(of->entries);
    PyMem_Free(of->spellings.at);
}
