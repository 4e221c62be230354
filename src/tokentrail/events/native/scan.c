/*
 * The ingest kernel's hot loop, compiled: native log files into rows, no Python object made for what repeats; and the
 * members of what it hands over raw, column by column (pluck.c).
 *
 * An accelerator and nothing else: it reads files that are clean JSON of the usual types, and answers None for all
 * others, which then go the ordinary way. So whatever is refused here costs time and never a record; in doubt it
 * refuses. `tests/events/test_events_quick.py` proves both ways equal.
 *
 * Evidence is hostile, so: one cursor that can't pass the end (json.c), bounded nesting, nothing written but to
 * buffers that grow first. `just sanitize` runs the tests under the address and undefined-behaviour sanitizers.
 */
#include "pluck.h"
#include "record.h"

/* How far the rows had come, to go back to. */
typedef struct {
    size_t rows, resources, kept;
    Py_ssize_t count, calls, odd_ids;
} Place;

static Place place_of(Scanner *self)
{
    Place place = {
        self->rows.used, self->resources.used, self->kept, self->count, PyList_Size(self->calls[AT]),
        PyList_Size(self->odd_ids),
    };
    return place;
}

static int go_back(Scanner *self, const Place *place)
{
    self->rows.used = place->rows;
    self->resources.used = place->resources;
    self->kept = place->kept;
    self->count = place->count;
    for (int n = 0; n < CALL; n++)
        if (PyList_SetSlice(self->calls[n], place->calls, PY_SSIZE_T_MAX, NULL) < 0)
            return FAILED;
    return PyList_SetSlice(self->odd_ids, place->odd_ids, PY_SSIZE_T_MAX, NULL);
}

/* `{"Records":[...]}` or `[...]`, and nothing else. */
static int read_document(Scanner *self, Cursor p, Cursor end, int32_t object, int64_t *first, int64_t *last)
{
    int wrapped = *p == '{', outcome;
    int32_t ordinal = 0;
    int64_t seconds = 0;
    Member member;

    if (wrapped) {
        p++;
        if ((outcome = next_member(&p, end, 1, &member)) != 1 || !IS(member, "Records"))
            return outcome < 0 ? outcome : REFUSED;
    }
    if (*p != '[')
        return REFUSED;
    p = white(p + 1);
    if (*p == ']')
        return REFUSED; /* nothing to gain */
    for (;; ordinal++) {
        if ((outcome = read_record(self, &p, end, object, ordinal, &seconds)) < 0)
            return outcome;
        *first = ordinal == 0 || seconds < *first ? seconds : *first;
        *last = ordinal == 0 || seconds > *last ? seconds : *last;
        p = white(p);
        if (*p == ']')
            break;
        if (*p != ',' || ordinal == INT32_MAX)
            return REFUSED;
        p = white(p + 1);
    }
    p = white(p + 1);
    if (wrapped) {
        if (*p != '}')
            return REFUSED;
        p = white(p + 1);
    }
    return p == end ? 0 : REFUSED;
}

PyDoc_STRVAR(scan_doc, "Read an object's expanded bytes: (records, first second, last second); None: not for us.");

static PyObject *scan(Scanner *self, PyObject *arguments)
{
    PyObject *data;
    char *at;
    Py_ssize_t size;
    int object, outcome;
    int64_t first = 0, last = 0;
    Place before = place_of(self);

    if (!PyArg_ParseTuple(arguments, "Si", &data, &object) || PyBytes_AsStringAndSize(data, &at, &size) < 0)
        return NULL;
    outcome = read_document(self, (Cursor)at, (Cursor)at + size, object, &first, &last);
    if (outcome == 0)
        return Py_BuildValue("nLL", self->count - before.count, (long long)first, (long long)last);
    if (outcome == REFUSED && go_back(self, &before) == 0)
        Py_RETURN_NONE;
    return NULL;
}

PyDoc_STRVAR(scan_each_doc, "Read texts of one record each, with ordinals from a first one on: (first second, last second); None: not for us.");

static PyObject *scan_each(Scanner *self, PyObject *arguments)
{
    PyObject *texts;
    char *at;
    Py_ssize_t size, n, count;
    int object, ordinal, outcome = REFUSED;
    int64_t seconds = 0, first = 0, last = 0;
    Cursor p, end;
    Place before = place_of(self);

    if (!PyArg_ParseTuple(arguments, "O!ii", &PyList_Type, &texts, &object, &ordinal))
        return NULL;
    count = PyList_Size(texts);
    if (ordinal < 0 || count > INT32_MAX - ordinal)
        Py_RETURN_NONE;
    for (n = 0; n < count; n++) {
        /* what is called on the way could change the list, so the text is held */
        PyObject *text = Py_XNewRef(PyList_GetItem(texts, n));
        if (text == NULL || PyBytes_AsStringAndSize(text, &at, &size) < 0) {
            Py_XDECREF(text);
            return NULL;
        }
        p = white((Cursor)at);
        end = (Cursor)at + size;
        outcome = read_record(self, &p, end, object, ordinal + (int32_t)n, &seconds);
        if (outcome == 0 && white(p) != end)
            outcome = REFUSED;
        Py_DECREF(text);
        if (outcome < 0)
            break;
        first = n == 0 || seconds < first ? seconds : first;
        last = n == 0 || seconds > last ? seconds : last;
    }
    if (outcome == 0)
        return Py_BuildValue("LL", (long long)first, (long long)last);
    if (outcome == REFUSED && go_back(self, &before) == 0)
        Py_RETURN_NONE;
    return NULL;
}

PyDoc_STRVAR(take_doc, "Hand over what was read since the last time: rows, their resources, calls to look into, odd ids.");

/* Puts new lists in the place of those that are handed over. */
static int renew(Scanner *self)
{
    for (int n = 0; n < CALL; n++) {
        Py_XDECREF(self->calls[n]);
        if ((self->calls[n] = PyList_New(0)) == NULL)
            return FAILED;
    }
    Py_XDECREF(self->odd_ids);
    return (self->odd_ids = PyList_New(0)) ? 0 : FAILED;
}

static PyObject *take(Scanner *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *calls = PyTuple_New(CALL), *rows, *resources, *taken;

    if (calls == NULL)
        return NULL;
    for (int n = 0; n < CALL; n++)
        PyTuple_SetItem(calls, n, Py_NewRef(self->calls[n]));
    rows = PyBytes_FromStringAndSize(self->rows.at, (Py_ssize_t)self->rows.used);
    resources = PyBytes_FromStringAndSize(self->resources.at, (Py_ssize_t)self->resources.used);
    taken = Py_BuildValue("NNNO", rows, resources, calls, self->odd_ids);
    if (taken == NULL || renew(self) < 0) {
        Py_XDECREF(taken);
        return NULL;
    }
    self->rows.used = self->resources.used = self->kept = 0;
    self->count = 0;
    return taken;
}

PyDoc_STRVAR(
    scanner_doc,
    "Scanner(labels, identities, marks, wanted, decode, missing, seed)\n--\n\n"
    "labels: nine dicts that number labels (account, region, source, name, error, ip, agent, endpoint, its owner);\n"
    "identities: one for raw identities; marks: (of a source, of a name) callables from a label to bits; wanted: 64 bytes, by the bits of\n"
    "both: 1, look into a call that succeeded; 2, one whose record lists no resource; decode: from a JSON string to a\n"
    "text; missing: stands for a raw value that is not there; seed: a random number that nobody outside knows.");

static PyObject *scanner_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyObject *labels, *identities, *of_source, *of_name, *wanted, *decode, *missing;
    unsigned long long seed;
    Scanner *self;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);

    if (!PyArg_ParseTuple(arguments, "O!O(OO)SOOK", &PyTuple_Type, &labels, &identities, &of_source, &of_name, &wanted,
                          &decode, &missing, &seed))
        return NULL;
    if (PyTuple_Size(labels) != LABELLED || PyBytes_Size(wanted) != 64) {
        PyErr_SetString(PyExc_ValueError, "nine dicts of labels and 64 bytes are expected");
        return NULL;
    }
    self = (Scanner *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    for (int n = 0; n < LABELLED; n++) {
        self->labels[n].labels = Py_NewRef(PyTuple_GetItem(labels, n));
        self->labels[n].last.code = self->labels[n].absent.code = -1;
    }
    self->labels[SOURCE].marks = Py_NewRef(of_source);
    self->labels[NAME].marks = Py_NewRef(of_name);
    self->identities.labels = Py_NewRef(identities);
    self->identities.last.code = self->identities.absent.code = -1;
    self->decode = Py_NewRef(decode);
    self->wanted = Py_NewRef(wanted);
    self->missing = Py_NewRef(missing);
    self->seed = seed;
    self->known = PyMem_Calloc(PLACES, sizeof(Known));
    if (self->known == NULL)
        PyErr_NoMemory();
    if (self->known == NULL || renew(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void scanner_free(Scanner *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    for (int n = 0; n < LABELLED; n++)
        forget(&self->labels[n]);
    forget(&self->identities);
    PyMem_Free(self->known);
    PyMem_Free(self->rows.at);
    PyMem_Free(self->resources.at);
    Py_XDECREF(self->decode);
    Py_XDECREF(self->wanted);
    Py_XDECREF(self->missing);
    for (int n = 0; n < CALL; n++)
        Py_XDECREF(self->calls[n]);
    Py_XDECREF(self->odd_ids);
    release(self);
    Py_DECREF(type);
}

static PyObject *rows_of(Scanner *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->count);
}

static PyObject *kept_of(Scanner *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(self->kept + self->resources.used);
}

static PyMethodDef methods[] = {
    {"scan", (PyCFunction)scan, METH_VARARGS, scan_doc},
    {"scan_each", (PyCFunction)scan_each, METH_VARARGS, scan_each_doc},
    {"take", (PyCFunction)take, METH_NOARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"rows", (getter)rows_of, NULL, "Rows that nobody has taken yet.", NULL},
    {"kept", (getter)kept_of, NULL, "Bytes of what their resources are called, and of raw values of their calls.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)scanner_doc}, {Py_tp_new, scanner_new},      {Py_tp_dealloc, scanner_free},
    {Py_tp_methods, methods},         {Py_tp_getset, properties},    {0, NULL},
};

static PyType_Spec spec = {"tokentrail.events._scan.Scanner", sizeof(Scanner), 0, Py_TPFLAGS_DEFAULT, slots};

static PyMethodDef functions[] = {
    {"pluck", pluck, METH_VARARGS, pluck_doc},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&spec);
    int outcome = type ? PyModule_AddObjectRef(module, "Scanner", type) : FAILED;

    Py_XDECREF(type);
    return outcome;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "tokentrail.events._scan", NULL, 0, functions, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__scan(void)
{
    return PyModuleDef_Init(&definition);
}
