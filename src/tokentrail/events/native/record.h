/*
 * One CloudTrail record: which members count, of which type they must be, and the row that they make.
 *
 * The same as `record.py` and `kernel.py` say; whatever they would have to think about is refused.
 */
#ifndef TOKENTRAIL_RECORD_H
#define TOKENTRAIL_RECORD_H

#include "known.h"
#include "values.h"

enum { ACCOUNT, REGION, SOURCE, NAME, FAULT, IP, AGENT, ENDPOINT, ENDPOINT_OWNER, LABELLED };
enum { REQUEST, ANSWER, DETAILS, ADDITIONAL, KEPT };
enum { AT, MARK, WHOLE, FROM, NAMED, SHARED, RAW, CALL = RAW + KEPT };

/* One event, as `quick._ROW` knows it. */
typedef struct {
    int64_t time;
    double bytes_out; /* NaN: none */
    uint8_t event_id[16];
    int32_t labels[LABELLED], object, ordinal, identity;
    int32_t resource_end; /* where its resource ends in the texts of all */
    int8_t read_only, management, console, unused;
} Row;

/* A record while it is read. */
typedef struct {
    Text labelled[LABELLED], identity, raw[KEPT], id, time, shared;
    Known *known;    /* where the caller stands among those that were met, or NULL */
    int32_t caller;  /* its number; -1: not known yet */
    size_t resource; /* bytes of it that were written */
    Row row;
} Record;

typedef struct {
    PyObject_HEAD
    Labels labels[LABELLED], identities;
    Known *known; /* identities by how they begin */
    PyObject *decode, *missing, *wanted, *odd_ids;
    PyObject *calls[CALL]; /* a list for each member of the calls that are looked into */
    uint64_t seed;
    Buffer rows, resources;
    size_t kept; /* bytes of raw values in `calls` */
    Py_ssize_t count;
} Scanner;

/*
 * It must say who called, else it may be another carrier's spelling. And it must be text to its last byte: of what is
 * not kept nobody else would see that it is not. Its bytes are looked at once they are read, and so still at hand.
 */
LOCAL int read_record(Scanner *self, Cursor *p, Cursor end, int32_t object, int32_t ordinal, int64_t *seconds);

#endif
