/*
 * Labels: each distinct spelling of a text is turned into a Python object once, and is a number ever after.
 */
#ifndef TOKENTRAIL_LABELS_H
#define TOKENTRAIL_LABELS_H

#include <Python.h>
#include "json.h"

typedef struct {
    char *at;
    size_t used, room;
} Buffer;

typedef struct {
    uint64_t hash;
    size_t at, size; /* of the spelling, in `spellings` */
    PyObject *label;
    int32_t code; /* -1: the place is free */
    uint8_t mark;
} Entry;

typedef struct {
    PyObject *labels; /* a dict that numbers what it has not met: label -> code, shared with the ordinary way */
    PyObject *marks;  /* label -> bits, or NULL */
    Entry *entries;
    size_t mask, used;
    Buffer spellings;
    Entry last, absent; /* of the record before; of null */
} Labels;

LOCAL int put(Buffer *buffer, const void *bytes, size_t size);

LOCAL uint64_t hash_of(Cursor p, size_t size, uint64_t seed);

/* Whether the bytes are text, all of them. */
LOCAL int is_unicode(const char *at, Py_ssize_t size);

/* The label that a spelling stands for; NULL with no error set where it can't be decoded. */
LOCAL PyObject *decoded(const Text *text, PyObject *decode);

/* Finds the label of a text, null included. `decode` is NULL for raw values, whose label is their bytes. */
LOCAL const Entry *label_of(Labels *of, const Text *text, uint64_t seed, PyObject *decode, int *outcome);

LOCAL void forget(Labels *of);

#endif
