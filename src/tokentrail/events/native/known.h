/*
 * Callers that were met before, known again by how what a record says of them begins.
 *
 * That is a third of a record, and mostly spelled as in some record before: then where it ends and which number it has
 * is known without reading it again. What is not spelled alike to its last byte is read as ever.
 */
#ifndef TOKENTRAIL_KNOWN_H
#define TOKENTRAIL_KNOWN_H

#include "labels.h"

#define BEGINNING 96 /* bytes, in which most callers differ: what they are, their principal, where the ARN begins */
#define PLACES 8192  /* as many as a segment has callers, more or less */

typedef struct {
    size_t at; /* in the spellings of the callers */
    uint32_t size; /* 0: nobody */
    int32_t code;
} Known;

/* Where a caller stands if known, or is to be noted; NULL where that can't be told by the beginning of a value. */
LOCAL Known *known_place(Known *places, Cursor p, Cursor end, uint64_t seed);

/* Whether the value at `p` is spelled as that caller is: an object, it ends where the other does. */
LOCAL int is_known(const Known *place, const Labels *of, Cursor p, Cursor end);

LOCAL void note(Known *place, const Entry *caller);

#endif
