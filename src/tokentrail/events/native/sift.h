/*
 * Which records of a file are worth decoding: where their members stand, and whether words, or numbers behind names,
 * that a question needs do.
 *
 * Like the scanner, an accelerator and nothing else: it answers None for a file that is not clean JSON as CloudTrail
 * writes it, and leaves a question open wherever letters may be spelled in more than one way.
 */
#ifndef TOKENTRAIL_SIFT_H
#define TOKENTRAIL_SIFT_H

#include <Python.h>
#include "json.h"

LOCAL extern const char sift_doc[];
LOCAL PyObject *sift(PyObject *module, PyObject *arguments);

#endif
