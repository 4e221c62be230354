/*
 * Times, ids and counts in the one spelling in which CloudTrail writes them; every other is for the ordinary way.
 */
#ifndef TOKENTRAIL_VALUES_H
#define TOKENTRAIL_VALUES_H

#include <Python.h>
#include "json.h"

/* Seconds since 1970 of `2024-03-01T00:00:00Z`, spelled just so; REFUSED for any other spelling. */
LOCAL int read_time(const Text *text, int64_t *seconds);

/* The sixteen bytes of a UUID in its usual spelling; 0 where it is spelled otherwise. */
LOCAL int read_uuid(const Text *text, uint8_t *to);

/* A count of bytes that is a whole number, as CloudTrail writes it (1234, 1234.0), or null. */
LOCAL int read_count(Cursor *p, Cursor end, double *count);

#endif
