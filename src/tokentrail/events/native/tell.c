/*
 * What carriers tell anew, compiled: from an event in another shape, or the columns of many, to the records that the
 * scanner reads.
 *
 * An accelerator and nothing else: it answers None for whatever is not told in the one usual way, and then Python
 * tells it (`carriers/elastic_plain.py`, `carriers/ocsf_plain.py`), as it does where nothing was compiled. What it
 * does answer is, byte by byte, what they would; `tests/events/test_events_telling.py` proves it.
 */
#include "compose.h"
#include "elastic.h"
#include "ocsf.h"

/* Forgets the labels, not the places for them. */
static void empty(Labels *of)
{
    for (size_t at = 0; of->mask && at <= of->mask; at++)
        if (of->entries[at].code >= 0) {
            Py_DECREF(of->entries[at].label);
            of->entries[at].code = -1;
        }
    of->used = of->spellings.used = 0;
    of->last.code = -1;
    if (of->absent.code >= 0)
        Py_DECREF(of->absent.label);
    of->absent.code = -1;
    PyDict_Clear(of->labels);
}

static int make_room(Teller *self)
{
    if (self->names.used >= MOST)
        empty(&self->names);
    if (self->sources.used >= MOST)
        empty(&self->sources);
    if (self->members.used >= MOST)
        empty(&self->members);
    if (self->templates.used < MOST)
        return 0;
    empty(&self->templates);
    return PyList_SetSlice(self->found, 0, PY_SSIZE_T_MAX, NULL);
}

enum { ELASTIC, OCSF, OCSF_1_0 };

static PyObject *told_as(Teller *self, PyObject *item, int shape)
{
    char *at;
    Py_ssize_t size;

    if (PyBytes_AsStringAndSize(item, &at, &size) < 0)
        return NULL;
    if (self->busy) /* another thread is at it, while Python was asked for something */
        Py_RETURN_NONE;
    if (!is_unicode(at, size)) {
        if (PyErr_Occurred())
            return NULL;
        Py_RETURN_NONE;
    }
    self->busy = 1;
    self->out.used = 0;
    self->outcome = make_room(self);
    if (self->outcome == 0) {
        if (shape == ELASTIC)
            tell_elastic(self, (Cursor)at, (Cursor)at + size);
        else
            tell_ocsf(self, (Cursor)at, (Cursor)at + size, shape == OCSF_1_0);
    }
    self->busy = 0;
    if (self->outcome == 0)
        return PyBytes_FromStringAndSize(self->out.at, (Py_ssize_t)self->out.used);
    if (self->outcome == FAILED)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *elastic(Teller *self, PyObject *item)
{
    return told_as(self, item, ELASTIC);
}

static PyObject *ocsf(Teller *self, PyObject *item)
{
    return told_as(self, item, OCSF);
}

static PyObject *old_ocsf(Teller *self, PyObject *item)
{
    return told_as(self, item, OCSF_1_0);
}

static int start(Labels *of, PyObject *labels, PyObject *marks)
{
    if (!PyDict_Check(labels)) {
        PyErr_SetString(PyExc_TypeError, "a dict that numbers labels is expected");
        return FAILED;
    }
    of->labels = Py_NewRef(labels);
    of->marks = marks ? Py_NewRef(marks) : NULL;
    of->last.code = of->absent.code = -1;
    return 0;
}

static PyObject *teller_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    PyObject *labels[4], *of_source, *of_name, *of_member, *wanted, *decode, *template, *key, *time;
    unsigned long long seed;
    Teller *self;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);

    if (!PyArg_ParseTuple(arguments, "(OOOO)(OOO)SOO(SS)K", &labels[0], &labels[1], &labels[2], &labels[3], &of_source,
                          &of_name, &of_member, &wanted, &decode, &template, &key, &time, &seed))
        return NULL;
    if (PyBytes_Size(wanted) != 64) {
        PyErr_SetString(PyExc_ValueError, "64 bytes are expected");
        return NULL;
    }
    self = (Teller *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->decode = Py_NewRef(decode);
    self->wanted = Py_NewRef(wanted);
    self->template = Py_NewRef(template);
    self->key_stand_in = Py_NewRef(key);
    self->time_stand_in = Py_NewRef(time);
    self->seed = seed;
    self->found = PyList_New(0);
    if (self->found == NULL || start(&self->sources, labels[0], of_source) < 0
        || start(&self->names, labels[1], of_name) < 0 || start(&self->members, labels[2], of_member) < 0
        || start(&self->templates, labels[3], NULL) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void teller_free(Teller *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    Labels *all[] = {&self->sources, &self->names, &self->members, &self->templates};

    for (int n = 0; n < 4; n++)
        if (all[n]->labels)
            forget(all[n]);
    PyMem_Free(self->out.at);
    PyMem_Free(self->key.at);
    Py_XDECREF(self->decode);
    Py_XDECREF(self->wanted);
    Py_XDECREF(self->template);
    Py_XDECREF(self->key_stand_in);
    Py_XDECREF(self->time_stand_in);
    Py_XDECREF(self->found);
    release(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    teller_doc,
    "Teller(labels, marks, wanted, decode, template, stand_ins, seed)\n--\n\n"
    "labels: four dicts that number labels (source, name, member of `unmapped`, actor); marks: (of a source, of a name,\n"
    "of a member) callables from a label to bits; wanted: 64 bytes, what of a call says something, by the bits of both;\n"
    "decode: from a JSON string to a text; template: from an actor and what is told of it elsewhere to (pieces, what\n"
    "stands between them) or None; stand_ins: for a quoted key and a time; seed: a number that nobody outside knows.");

static PyMethodDef methods[] = {
    {"elastic", (PyCFunction)elastic, METH_O, "The record of a document of Elastic's; None: not for us."},
    {"ocsf", (PyCFunction)ocsf, METH_O, "The record of an OCSF event; None: not for us."},
    {"old_ocsf", (PyCFunction)old_ocsf, METH_O, "The same of version 1.0."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)teller_doc}, {Py_tp_new, teller_new}, {Py_tp_dealloc, teller_free},
    {Py_tp_methods, methods},        {0, NULL},
};

static PyType_Spec spec = {"tokentrail.events._tell.Teller", sizeof(Teller), 0, Py_TPFLAGS_DEFAULT, slots};

static PyMethodDef functions[] = {
    {"compose", compose, METH_VARARGS, compose_doc},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&spec);
    int outcome = type ? PyModule_AddObjectRef(module, "Teller", type) : FAILED;

    Py_XDECREF(type);
    return outcome;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "tokentrail.events._tell", NULL, 0, functions, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__tell(void)
{
    return PyModuleDef_Init(&definition);
}
