/*
 * The members of many small JSON objects, column by column; `members.py` says what they may be.
 *
 * Whatever is not spelled in the usual way is refused, all of it: then Python reads it.
 */
#ifndef TOKENTRAIL_PLUCK_H
#define TOKENTRAIL_PLUCK_H

#include <Python.h>
#include "json.h"

LOCAL extern const char pluck_doc[];
LOCAL PyObject *pluck(PyObject *module, PyObject *arguments);

#endif
