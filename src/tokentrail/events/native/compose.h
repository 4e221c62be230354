/*
 * Rows of text out of columns: what each column has for a row, one behind the other.
 */
#ifndef TOKENTRAIL_COMPOSE_H
#define TOKENTRAIL_COMPOSE_H

#include "actor.h"

enum { CONSTANT, TIMES, TEXTS, OBJECTS };

/* A column, as `composing.Rows` hands it over. */
typedef struct {
    int kind;
    Py_buffer held[3];
    int count; /* of what is held */
    const char *constant; /* of OBJECTS: what stands before each */
    Py_ssize_t constant_size;
    const int64_t *codes; /* NULL: each row has its own; -1: none. Of TIMES the thousandths of seconds, 0 for none */
    const int32_t *offsets;
    const char *texts;
    Py_ssize_t values, size;
} Piece;

static int hold(Piece *piece, PyObject *from)
{
    if (PyObject_GetBuffer(from, &piece->held[piece->count], PyBUF_SIMPLE) < 0)
        return FAILED;
    piece->count++;
    return 0;
}

static int refuse_piece(void)
{
    PyErr_SetString(PyExc_ValueError, "no column, or one of another length");
    return FAILED;
}

/* The numbers in a buffer that is held; NULL where they don't lie as numbers of their size do. */
static const void *numbers_in(const Py_buffer *held, size_t size)
{
    static const int64_t nothing = 0;

    if (held->len == 0) /* which may lie nowhere */
        return &nothing;
    return (uintptr_t)held->buf % size ? NULL : held->buf;
}

/* Takes a column apart: a constant, `(times,)`, or `(codes or None, offsets, texts[, what stands before each])`. */
static int take_piece(Piece *piece, PyObject *from, Py_ssize_t rows)
{
    PyObject *codes, *offsets, *texts, *before = NULL;
    Py_buffer *held;

    if (PyBytes_Check(from)) {
        piece->kind = CONSTANT;
        piece->constant_size = PyBytes_Size(from);
        piece->constant = PyBytes_AsString(from);
        return 0;
    }
    if (!PyTuple_Check(from))
        return refuse_piece();
    if (PyTuple_Size(from) == 1) {
        piece->kind = TIMES;
        if (hold(piece, PyTuple_GetItem(from, 0)) < 0)
            return FAILED;
        piece->codes = numbers_in(&piece->held[0], sizeof(int64_t));
        return piece->codes && piece->held[0].len == rows * (Py_ssize_t)sizeof(int64_t) ? 0 : refuse_piece();
    }
    if (!PyArg_ParseTuple(from, "OOO|S", &codes, &offsets, &texts, &before) || hold(piece, offsets) < 0
        || hold(piece, texts) < 0 || (codes != Py_None && hold(piece, codes) < 0))
        return FAILED;
    piece->kind = before ? OBJECTS : TEXTS;
    if (before) {
        piece->constant = PyBytes_AsString(before);
        piece->constant_size = PyBytes_Size(before);
    }
    held = piece->held;
    piece->offsets = numbers_in(&held[0], sizeof(int32_t));
    piece->values = held[0].len ? held[0].len / (Py_ssize_t)sizeof(int32_t) - 1 : 0; /* Arrow may omit those of no texts */
    piece->texts = held[1].len ? held[1].buf : "";
    piece->size = held[1].len;
    if (codes == Py_None)
        return piece->offsets && piece->values == rows ? 0 : refuse_piece();
    piece->codes = numbers_in(&held[2], sizeof(int64_t));
    return piece->offsets && piece->codes && piece->values >= 0 && held[2].len == rows * (Py_ssize_t)sizeof(int64_t) ? 0 : refuse_piece();
}

/* JSON of one object and nothing more; copied behind `out`, since what is read needs a NUL at its end. */
static int put_object(Buffer *out, const char *at, Py_ssize_t size)
{
    size_t start = out->used;
    Cursor begin;

    if (put(out, at, (size_t)size) < 0 || put(out, "", 1) < 0)
        return FAILED;
    out->used--;
    begin = (Cursor)out->at + start;
    return *begin == '{' && value_end(begin, begin + size, 1) == begin + size ? 0 : REFUSED;
}

static int put_piece(Buffer *out, const Piece *piece, Py_ssize_t row)
{
    int64_t code;
    int32_t start, end;
    char spelled[20];

    if (piece->kind == CONSTANT)
        return put(out, piece->constant, (size_t)piece->constant_size);
    code = piece->codes ? piece->codes[row] : row;
    if (code < 0 || (code == 0 && piece->kind == TIMES))
        return 0;
    if (piece->kind == TIMES) {
        if (code >= LATEST)
            return REFUSED;
        spell_moment(code, spelled);
        return put(out, spelled, sizeof spelled);
    }
    if (code >= piece->values)
        return refuse_piece();
    start = piece->offsets[code];
    end = piece->offsets[code + 1];
    if (start < 0 || end < start || end > piece->size)
        return refuse_piece();
    if (piece->kind == TEXTS)
        return put(out, piece->texts + start, (size_t)(end - start));
    return put(out, piece->constant, (size_t)piece->constant_size) < 0 ? FAILED
                                                                      : put_object(out, piece->texts + start, end - start);
}

static PyObject *rows_of(const Piece *pieces, Py_ssize_t count, Py_ssize_t rows)
{
    PyObject *found = PyList_New(rows), *row;
    Buffer out = {NULL, 0, 0};
    int outcome = 0;

    for (Py_ssize_t at = 0; found != NULL && at < rows; at++) {
        out.used = 0;
        outcome = 0;
        for (Py_ssize_t n = 0; n < count && outcome == 0; n++)
            outcome = put_piece(&out, &pieces[n], at);
        row = outcome == FAILED ? NULL
              : outcome == REFUSED ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize(out.at, (Py_ssize_t)out.used);
        if (row == NULL || PyList_SetItem(found, at, row) < 0)
            Py_CLEAR(found);
    }
    PyMem_Free(out.at);
    return found;
}

PyDoc_STRVAR(
    compose_doc,
    "compose(rows, columns)\n--\n\n"
    "The text of each row: what each column has for it, one behind the other; None where an object is none.\n\n"
    "A column is a constant; (times,) in thousandths of seconds, 0 or less for none; or (codes or None, offsets, texts)\n"
    "as Arrow keeps texts, with codes of 64 bits, -1 for none; with a fourth, what stands before each, its texts must be\n"
    "JSON objects.");

static PyObject *compose(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *columns, *found = NULL;
    Py_ssize_t rows, count, n;
    Piece *pieces;

    if (!PyArg_ParseTuple(arguments, "nO!", &rows, &PyTuple_Type, &columns))
        return NULL;
    if (rows < 0 || rows > INT32_MAX) {
        refuse_piece();
        return NULL;
    }
    count = PyTuple_Size(columns);
    pieces = PyMem_Calloc((size_t)count + 1, sizeof(Piece));
    if (pieces == NULL)
        return PyErr_NoMemory();
    for (n = 0; n < count && take_piece(&pieces[n], PyTuple_GetItem(columns, n), rows) == 0; n++)
        ;
    if (n == count)
        found = rows_of(pieces, count, rows);
    for (n = 0; n < count; n++)
        for (int at = 0; at < pieces[n].count; at++)
            PyBuffer_Release(&pieces[n].held[at]);
    PyMem_Free(pieces);
    return found;
}

#endif
