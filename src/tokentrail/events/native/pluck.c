#include "pluck.h"
#include "labels.h"

enum { TEXT, TEXT_OR_FLAG, NUMBER_OR_TEXT, OBJECT, LIST };

typedef struct {
    const char *name;
    size_t size;     /* of the name */
    int kind;
    Py_ssize_t inside; /* how many of those that follow are members of it */
    PyObject *column;  /* a list; NULL for what holds others */
    Text last;         /* the text that was met before in this column, and what came of it */
    PyObject *value;   /* held */
    uint64_t met; /* the number of the object in which it was met */
} Wish;

typedef struct {
    Wish *wishes;
    Py_ssize_t count, row;
    PyObject *decode;
    uint64_t objects;
} Plucking;

/* Puts a value into its row of a column; steals it. */
static int pluck_into(Plucking *self, Wish *wish, PyObject *value)
{
    if (value == NULL)
        return PyErr_Occurred() ? FAILED : REFUSED;
    return PyList_SetItem(wish->column, self->row, value);
}

static int pluck_text(Plucking *self, Cursor *p, Cursor end, Wish *wish)
{
    Text text;
    PyObject *value;

    if (read_text(p, end, &text) < 0)
        return REFUSED;
    if (text.at == NULL)
        return pluck_into(self, wish, Py_NewRef(Py_None));
    if (wish->value && wish->last.size == text.size && memcmp(wish->last.at, text.at, text.size) == 0)
        return pluck_into(self, wish, Py_NewRef(wish->value));
    value = decoded(&text, self->decode);
    Py_XDECREF(wish->value);
    wish->value = Py_XNewRef(value);
    wish->last = text;
    return pluck_into(self, wish, value);
}

static int pluck_number(Plucking *self, Cursor *p, Wish *wish)
{
    int64_t whole = 0;
    Cursor at = *p;

    if ((*p = number_end(at)) == NULL || *p - at > 15)
        return REFUSED;
    for (; at < *p; at++) {
        if (*at < '0' || *at > '9')
            return REFUSED;
        whole = whole * 10 + *at - '0';
    }
    return pluck_into(self, wish, PyLong_FromLongLong(whole));
}

static int pluck_object(Plucking *self, Cursor *p, Cursor end, Wish *first, Wish *behind, int depth);

static int pluck_value(Plucking *self, Cursor *p, Cursor end, Wish *wish, int depth)
{
    int outcome;
    int8_t flag;

    switch (wish->kind) {
    case TEXT_OR_FLAG:
        if (**p == 't' || **p == 'f')
            return read_flag(p, end, &flag) < 0 ? REFUSED : pluck_into(self, wish, PyBool_FromLong(flag));
        break;
    case NUMBER_OR_TEXT:
        if (**p >= '0' && **p <= '9')
            return pluck_number(self, p, wish);
        break;
    case LIST:
        if (**p == '[') {
            *p = white(*p + 1);
            if (**p != ']') {
                if (**p != '{')
                    return REFUSED;
                outcome = pluck_object(self, p, end, wish + 1, wish + 1 + wish->inside, depth + 1);
                if (outcome < 0)
                    return outcome;
                *p = white(*p);
            }
            return *(*p)++ == ']' ? 0 : REFUSED;
        }
        return (*p = word_end(*p, end, "null", 4)) ? 0 : REFUSED;
    case OBJECT:
        return pluck_object(self, p, end, wish + 1, wish + 1 + wish->inside, depth);
    }
    return pluck_text(self, p, end, wish);
}

/* An object or null: its members that are asked for; one that is there twice is refused, as the last one counts. */
static int pluck_object(Plucking *self, Cursor *p, Cursor end, Wish *first, Wish *behind, int depth)
{
    uint64_t object = ++self->objects;
    Member member;
    Wish *wish;
    int found, at_first = 1;

    if (**p != '{')
        return (*p = word_end(*p, end, "null", 4)) ? 0 : REFUSED;
    for (++*p; (found = next_member(p, end, at_first, &member)) == 1; at_first = 0) {
        for (wish = first; wish < behind; wish += 1 + wish->inside)
            if (wish->size == member.key_size && memcmp(wish->name, member.key, wish->size) == 0)
                break;
        if (wish < behind && wish->met == object)
            return REFUSED;
        if (wish < behind) {
            wish->met = object;
            found = pluck_value(self, p, end, wish, depth + 1);
        }
        else
            found = (*p = value_end(*p, end, depth + 1)) ? 0 : REFUSED;
        if (found < 0)
            return found;
    }
    return found;
}

/* Whether what is inside each is inside what that is in, too. */
static int are_nested(const Plucking *self)
{
    for (const Wish *wish = self->wishes; wish < self->wishes + self->count; wish++) {
        const Wish *inner = wish + 1, *behind = inner + wish->inside;
        while (inner < behind)
            inner += 1 + inner->inside;
        if (inner != behind)
            return 0;
    }
    return 1;
}

/* Reads what is wished for; returns how many columns there are. */
static Py_ssize_t wishes_of(Plucking *self, PyObject *plan, Py_ssize_t rows)
{
    Py_ssize_t n, columns = 0;
    Wish *wish;

    for (n = 0; n < self->count; n++) {
        wish = &self->wishes[n];
        if (!PyArg_ParseTuple(PyTuple_GetItem(plan, n), "yin", &wish->name, &wish->kind, &wish->inside))
            return FAILED;
        wish->size = strlen(wish->name);
        if (wish->kind < TEXT || wish->kind > LIST || wish->inside < 0 || wish->inside >= self->count - n
            || (wish->kind < OBJECT && wish->inside)) {
            PyErr_SetString(PyExc_ValueError, "no plan of members");
            return FAILED;
        }
        if (wish->kind < OBJECT && (wish->column = PyList_New(rows)) == NULL)
            return FAILED;
        columns += wish->kind < OBJECT;
    }
    if (are_nested(self))
        return columns;
    PyErr_SetString(PyExc_ValueError, "no plan of members");
    return FAILED;
}

/* Reads all rows; what is not there is None. */
static int pluck_rows(Plucking *self, PyObject *raws, PyObject *missing)
{
    PyObject *raw;
    char *at;
    Py_ssize_t size, n;
    Cursor p;
    Wish *wish, *behind = self->wishes + self->count;
    int outcome;

    for (self->row = 0; self->row < PyTuple_Size(raws); self->row++) {
        raw = PyTuple_GetItem(raws, self->row);
        if (raw != missing) {
            if (!PyBytes_Check(raw) || PyBytes_AsStringAndSize(raw, &at, &size) < 0)
                return PyErr_Occurred() ? FAILED : REFUSED;
            p = white((Cursor)at);
            if ((outcome = pluck_object(self, &p, (Cursor)at + size, self->wishes, behind, 0)) < 0)
                return outcome;
            if (white(p) != (Cursor)at + size)
                return REFUSED;
        }
        for (n = 0; n < self->count; n++) {
            wish = &self->wishes[n];
            if (wish->column && PyList_GetItem(wish->column, self->row) == NULL
                && pluck_into(self, wish, Py_NewRef(Py_None)) < 0)
                return FAILED;
        }
    }
    return 0;
}

const char pluck_doc[] = PyDoc_STR(
    "pluck(raws, plan, decode, missing)\n--\n\n"
    "The members of some JSON objects, a list for each column of the plan; None: not for us.\n\n"
    "raws: bytes of one object each, whose end a NUL marks, or `missing`;\n"
    "plan: of each member its name, what it may be and how many of the following are inside it; decode: from a JSON\n"
    "string to a text; missing: stands for a raw value that is not there.");

PyObject *pluck(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *given, *plan, *missing, *raws = NULL, *found = NULL;
    Py_ssize_t n, columns = FAILED;
    Plucking self = {0};
    int outcome = FAILED;

    if (!PyArg_ParseTuple(arguments, "OO!OO", &given, &PyTuple_Type, &plan, &self.decode, &missing))
        return NULL;
    self.count = PyTuple_Size(plan);
    raws = PySequence_Tuple(given); /* nobody can change it meanwhile */
    self.wishes = PyMem_Calloc((size_t)self.count + 1, sizeof(Wish));
    if (self.wishes == NULL)
        PyErr_NoMemory();
    else if (raws && (columns = wishes_of(&self, plan, PyTuple_Size(raws))) >= 0)
        outcome = pluck_rows(&self, raws, missing);
    if (outcome == 0 && (found = PyTuple_New(columns)))
        for (n = columns = 0; n < self.count; n++)
            if (self.wishes[n].column)
                PyTuple_SetItem(found, columns++, Py_NewRef(self.wishes[n].column));
    for (n = 0; self.wishes && n < self.count; n++) {
        Py_XDECREF(self.wishes[n].column);
        Py_XDECREF(self.wishes[n].value);
    }
    PyMem_Free(self.wishes);
    Py_XDECREF(raws);
    if (outcome == REFUSED)
        Py_RETURN_NONE;
    return found;
}
