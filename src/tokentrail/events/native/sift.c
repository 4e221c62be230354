#include "sift.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

typedef struct {
    const uint8_t *at; /* in small letters */
    size_t size;
} Word;

/*
 * A question that only a record can meet in whose member one of some words stands; with a way, one of them as the name
 * of a number on that side of a bar; with another member, a text that bears one of them as its name there.
 */
typedef struct {
    size_t column, member, word, end;
    Py_ssize_t other; /* -1: none */
    uint64_t bit;
    int way; /* 0, or WAY of two letters */
    double bar;
} Need;

#define WAY(sign, equal) ((sign) << 8 | (equal))
#define FIGURES 15 /* of a whole number that a double holds to the last one */
#define ECHOED 2048 /* letters of a text that is looked for elsewhere */
#define ECHOES 64   /* texts of one name that are looked for, so that a record of many takes no longer than it is long */

typedef struct {
    const int32_t *ordinals;
    uint64_t *masks; /* for each asked record `columns` of them */
    int64_t *spans;  /* for each asked record the start and end of its members' values; 0, 0: not there */
    size_t asked, columns;
    Word *names, *words;
    size_t members;
    Need *needs;
    size_t needed;
} Sieve;

static uint8_t small(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 32 : c;
}

static int starts(Cursor at, const Word *word)
{
    for (size_t n = 0; n < word->size; n++)
        if (small(at[n]) != word->at[n])
            return 0;
    return 1;
}

/* Where a word first stands in a text, in letters of either case; NULL: nowhere. */
static Cursor place_of_word(Cursor at, size_t size, const Word *word)
{
    size_t n = 0, last;

    if (word->size == 0 || size < word->size)
        return word->size == 0 ? at : NULL;
    last = size - word->size; /* the last place where it may begin */
#if defined(__SSE2__) && defined(__GNUC__)
    {
        const __m128i both = _mm_set1_epi8(32); /* told apart again by `starts` */
        const __m128i head = _mm_or_si128(both, _mm_set1_epi8((char)word->at[0]));
        const __m128i tail = _mm_or_si128(both, _mm_set1_epi8((char)word->at[word->size - 1]));
        for (; n + 15 <= last; n += 16) { /* sixteen beginnings at a time, by the word's first and last letter */
            __m128i first = _mm_loadu_si128((const __m128i *)(at + n));
            __m128i final = _mm_loadu_si128((const __m128i *)(at + n + word->size - 1));
            unsigned found = (unsigned)_mm_movemask_epi8(_mm_and_si128(
                _mm_cmpeq_epi8(_mm_or_si128(both, first), head), _mm_cmpeq_epi8(_mm_or_si128(both, final), tail)));
            for (; found; found &= found - 1)
                if (starts(at + n + (size_t)__builtin_ctz(found), word))
                    return at + n + (size_t)__builtin_ctz(found);
        }
    }
#endif
    for (; n <= last; n++)
        if (starts(at + n, word))
            return at + n;
    return NULL;
}

/* Whether every letter of a text stands there as itself. */
static int plain(Cursor at, size_t size)
{
    static const Word unit = {(const uint8_t *)"\\u", 2};

    uint8_t all = 0;

    for (size_t n = 0; n < size; n++) /* to the end, which the compiler does many at a time */
        all |= at[n];
    if (all >= 0x80)
        return 0;
    return memchr(at, '\\', size) == NULL || place_of_word(at, size, &unit) == NULL;
}

static int on_side(const Need *need, double number)
{
    switch (need->way) {
    case WAY('<', 0):
        return number < need->bar;
    case WAY('<', '='):
        return number <= need->bar;
    case WAY('>', 0):
        return number > need->bar;
    default:
        return number >= need->bar;
    }
}

/* Whether what stands behind a name may be a number on the right side: all but a plain number may. */
static int may_be(Cursor p, const Need *need)
{
    double number = 0;
    int quoted, figures = 0;

    p = white(p);
    if (*p != ':')
        return 1;
    p = white(p + 1);
    quoted = *p == '"';
    for (p += quoted; *p >= '0' && *p <= '9'; p++, figures++)
        number = number * 10 + (*p - '0');
    if (figures == 0 || figures > FIGURES || (quoted && *p++ != '"'))
        return 1;
    p = white(p);
    return (*p != ',' && *p != '}') || on_side(need, number);
}

/* Whether a word stands in a text as the name of what may be a number on the right side. */
static int names_number(Cursor at, size_t size, const Word *word, const Need *need)
{
    Cursor found, end = at + size;

    if (word->size == 0)
        return 1; /* it says nothing */
    for (Cursor p = at; (found = place_of_word(p, (size_t)(end - p), word)) != NULL; p = found + 1)
        if (found > at && found[-1] == '"' && found[word->size] == '"' && may_be(found + word->size + 1, need))
            return 1;
    return 0;
}

/*
 * Whether a text that bears a name in one span may stand in another: what is no text may, and so may what a backslash
 * may spell otherwise.
 */
static int echoes(Cursor from, size_t room, Cursor at, size_t size, const Word *name)
{
    uint8_t text[ECHOED];
    Word word = {text, 0};
    Cursor found, end = from + room;
    int tried = 0;

    if (name->size == 0 || memchr(at, '\\', size) != NULL)
        return 1;
    for (Cursor p = from; (found = place_of_word(p, (size_t)(end - p), name)) != NULL; p = found + 1) {
        Cursor value = found + name->size;
        if (found == from || found[-1] != '"' || *value != '"' || *(value = white(value + 1)) != ':')
            continue;
        value = white(value + 1);
        if (*value == 'n')
            continue;
        if (*value++ != '"')
            return 1;
        for (word.size = 0; *value != '"'; value++) {
            if (*value == '\\' || word.size == ECHOED)
                return 1;
            text[word.size++] = small(*value);
        }
        if (word.size > 0 && (++tried > ECHOES || place_of_word(at, size, &word) != NULL))
            return 1;
    }
    return 0;
}

static int any_echoes(const Sieve *self, Cursor start, const int64_t *spans, const Need *need)
{
    const int64_t *from = spans + 2 * need->other, *in = spans + 2 * (Py_ssize_t)need->member;
    size_t room = (size_t)(from[1] - from[0]);

    if (!plain(start + from[0], room))
        return 1;
    for (size_t n = need->word; n < need->end; n++)
        if (echoes(start + from[0], room, start + in[0], (size_t)(in[1] - in[0]), &self->words[n]))
            return 1;
    return 0;
}

static int any_stands(const Sieve *self, Cursor at, size_t size, const Need *need)
{
    for (size_t n = need->word; n < need->end; n++)
        if (need->way ? names_number(at, size, &self->words[n], need)
                      : place_of_word(at, size, &self->words[n]) != NULL)
            return 1;
    return 0;
}

/* Takes from an asked record's masks the questions that it can't meet. */
static void drop(const Sieve *self, Cursor start, size_t place)
{
    uint64_t *masks = self->masks + place * self->columns;
    const int64_t *spans = self->spans + place * 2 * self->members;
    size_t told = self->members; /* of which member `open` was told */
    int open = 0;

    for (size_t n = 0; n < self->needed; n++) {
        const Need *need = &self->needs[n];
        Cursor at = start + spans[2 * need->member];
        size_t size = (size_t)(spans[2 * need->member + 1] - spans[2 * need->member]);
        if (!(masks[need->column] & need->bit))
            continue;
        if (told != need->member) {
            told = need->member;
            open = !plain(at, size);
        }
        if (!open && !(need->other < 0 ? any_stands(self, at, size, need) : any_echoes(self, start, spans, need)))
            masks[need->column] &= ~need->bit;
    }
}

static int sift_record(const Sieve *self, Cursor start, Cursor *p, Cursor end, size_t place)
{
    int64_t *spans = self->spans + place * 2 * self->members;
    Member member;
    int found, first;

    memset(spans, 0, 2 * self->members * sizeof *spans);
    ++*p;
    for (first = 1; (found = next_member(p, end, first, &member)) == 1; first = 0) {
        if ((*p = value_end(*p, end, 1)) == NULL)
            return REFUSED;
        for (size_t n = 0; n < self->members; n++)
            if (self->names[n].size == member.key_size
                && memcmp(self->names[n].at, member.key, member.key_size) == 0) {
                spans[2 * n] = member.value - start;
                spans[2 * n + 1] = *p - start;
            }
    }
    if (found == 0)
        drop(self, start, place);
    return found;
}

/* `{"Records":[...]}` and nothing else; answers how many asked records there were. */
static Py_ssize_t sift_document(const Sieve *self, Cursor start, Cursor end)
{
    Cursor p = start;
    Member member;
    size_t place = 0;
    int32_t ordinal = 0;

    if (*p != '{')
        return REFUSED;
    p++;
    if (next_member(&p, end, 1, &member) != 1 || !IS(member, "Records") || *p != '[')
        return REFUSED;
    p = white(p + 1);
    for (;; ordinal++) {
        if (*p != '{')
            return REFUSED;
        if (place < self->asked && self->ordinals[place] == ordinal) {
            if (sift_record(self, start, &p, end, place) < 0)
                return REFUSED;
            place++;
        }
        else if ((p = value_end(p, end, 1)) == NULL)
            return REFUSED;
        p = white(p);
        if (*p == ']')
            break;
        if (*p != ',' || ordinal == INT32_MAX)
            return REFUSED;
        p = white(p + 1);
    }
    p = white(p + 1);
    if (*p != '}')
        return REFUSED;
    return white(p + 1) == end ? (Py_ssize_t)place : REFUSED;
}

/* Borrows what a tuple of bytes holds. */
static int words_of(PyObject *tuple, Word *words, size_t room)
{
    Py_ssize_t size;
    char *at;

    for (size_t n = 0; n < room; n++) {
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(tuple, (Py_ssize_t)n), &at, &size) < 0)
            return FAILED;
        words[n].at = (const uint8_t *)at;
        words[n].size = (size_t)size;
    }
    return 0;
}

/* The way that `<`, `<=`, `>` or `>=` spells; 0: none. */
static int way_of(const char *spelled)
{
    return spelled[0] == '<' || spelled[0] == '>' ? WAY(spelled[0], spelled[1]) : 0;
}

/*
 * Reads `(column, shift, member, end of its words, way, bar, other member)` for each need: each one's words follow those of the one
 * before.
 */
static int needs_of(Sieve *self, PyObject *needs, size_t words)
{
    size_t begin = 0;

    for (size_t n = 0; n < self->needed; n++) {
        Py_ssize_t column, member, last, other;
        int shift;
        const char *way;
        double bar;
        Need *need = &self->needs[n];
        if (!PyArg_ParseTuple(PyTuple_GetItem(needs, (Py_ssize_t)n), "ninnsdn", &column, &shift, &member, &last, &way,
                              &bar, &other))
            return FAILED;
        if (column < 0 || (size_t)column >= self->columns || shift < 0 || shift > 63 || member < 0
            || (size_t)member >= self->members || last < (Py_ssize_t)begin || (size_t)last > words
            || other >= (Py_ssize_t)self->members) {
            PyErr_SetString(PyExc_ValueError, "a need of what is not there");
            return FAILED;
        }
        *need = (Need){
            (size_t)column, (size_t)member, begin, (size_t)last, other, (uint64_t)1 << shift, way_of(way), bar,
        };
        begin = (size_t)last;
    }
    return 0;
}

const char sift_doc[] = PyDoc_STR(
    "sift(data, ordinals, masks, columns, members, words, needs)\n--\n\n"
    "Look at the asked records of an expanded file: (how many there are, masks, spans); None: not for us.\n\n"
    "ordinals: 32 bits each, climbing; masks: `columns` times 64 bits for each, of the questions that it is asked;\n"
    "members: names; words: in small letters; needs: (column, shift, member, end, way, bar) of questions that need one\n"
    "of the words up to `end`, from the end of the need before on, in a member; with a way (<, <=, > or >=), as the\n"
    "name of a number on that side of the bar. Of the masks handed back those bits are gone whose words are missing.\n"
    "spans: 64 bits each, the start and end of each member's value.");

static PyObject *sift_into(Sieve *self, PyObject *data, PyObject *masks, PyObject *spans)
{
    char *at;
    Py_ssize_t size, found;

    if (PyBytes_AsStringAndSize(data, &at, &size) < 0)
        return NULL;
    self->masks = (uint64_t *)PyBytes_AsString(masks);
    self->spans = (int64_t *)PyBytes_AsString(spans);
    Py_BEGIN_ALLOW_THREADS;
    found = sift_document(self, (Cursor)at, (Cursor)at + size);
    Py_END_ALLOW_THREADS;
    if (found == REFUSED)
        Py_RETURN_NONE;
    return Py_BuildValue("nOO", found, masks, spans);
}

PyObject *sift(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *data, *ordinals, *masks, *members, *words, *needs, *left = NULL, *spans = NULL, *found = NULL;
    Py_ssize_t columns;
    size_t given;
    Sieve self = {0};

    if (!PyArg_ParseTuple(arguments, "SSSnO!O!O!", &data, &ordinals, &masks, &columns, &PyTuple_Type, &members,
                          &PyTuple_Type, &words, &PyTuple_Type, &needs))
        return NULL;
    self.columns = (size_t)columns;
    self.asked = (size_t)PyBytes_Size(ordinals) / sizeof(int32_t);
    self.members = (size_t)PyTuple_Size(members);
    self.needed = (size_t)PyTuple_Size(needs);
    given = (size_t)PyTuple_Size(words);
    if (columns < 1 || columns > 1024 || (size_t)PyBytes_Size(masks) != self.asked * self.columns * sizeof(uint64_t)
        || self.members > 1024) {
        PyErr_SetString(PyExc_ValueError, "a mask for each ordinal is expected");
        return NULL;
    }
    self.ordinals = (const int32_t *)PyBytes_AsString(ordinals);
    self.names = PyMem_Calloc(self.members + 1, sizeof(Word));
    self.words = PyMem_Calloc(given + 1, sizeof(Word));
    self.needs = PyMem_Calloc(self.needed + 1, sizeof(Need));
    left = PyBytes_FromStringAndSize(PyBytes_AsString(masks), PyBytes_Size(masks));
    spans = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(self.asked * 2 * self.members * sizeof(int64_t)));
    if (self.names == NULL || self.words == NULL || self.needs == NULL)
        PyErr_NoMemory();
    else if (left && spans && words_of(members, self.names, self.members) == 0
             && words_of(words, self.words, given) == 0 && needs_of(&self, needs, given) == 0)
        found = sift_into(&self, data, left, spans);
    Py_XDECREF(left);
    Py_XDECREF(spans);
    PyMem_Free(self.names);
    PyMem_Free(self.words);
    PyMem_Free(self.needs);
    return found;
}
