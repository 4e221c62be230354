/*
 * JSON, strictly: where strings, values and members end, and whether they are sound.
 *
 * Every function takes a cursor into a bytes object and that object's end, at which a NUL stands that no token
 * accepts: so a step of one byte needs no check against the end, and every longer one has it.
 */
#ifndef TOKENTRAIL_JSON_H
#define TOKENTRAIL_JSON_H

#include <stdint.h>
#include <string.h>

/* What other files of this module call, and nobody else. */
#if defined(__GNUC__) && !defined(_WIN32)
#define LOCAL __attribute__((visibility("hidden")))
#else
#define LOCAL
#endif

typedef const uint8_t *Cursor;

#define REFUSED (-2) /* not for us: the ordinary way must read this object */
#define FAILED (-1)  /* a Python error is set */
#define DEEPEST 64   /* levels of nesting; CloudTrail's own records have fewer than twenty */
#define ESCAPED 1    /* a string with a backslash in it */

typedef struct {
    Cursor key;
    size_t key_size;
    Cursor value; /* its first byte */
} Member;

#define IS(member, name) ((member).key_size == sizeof(name) - 1 && memcmp((member).key, name, sizeof(name) - 1) == 0)

typedef struct {
    Cursor at; /* NULL: null, or not there */
    size_t size;
    int flags;
} Text;

#define UNKNOWN 2 /* a flag that is null or not there */

LOCAL Cursor white(Cursor p);

LOCAL Cursor number_end(Cursor p);

LOCAL Cursor word_end(Cursor p, Cursor end, const char *word, size_t size);

/* Where the value ends that starts at `p`; NULL where it is no sound JSON, or too deep. */
LOCAL Cursor value_end(Cursor p, Cursor end, int depth);

/*
 * Steps to the next member of the object that `*p` is in; `first` says that it is just behind the opening brace.
 * Returns 1 with the member, 0 behind the closing brace, REFUSED for anything else. The value is left to the caller.
 */
LOCAL int next_member(Cursor *p, Cursor end, int first, Member *member);

/* A text or null at `*p`, which is moved behind it. */
LOCAL int read_text(Cursor *p, Cursor end, Text *text);

/* Any value at `*p`, as it is spelled. */
LOCAL int read_raw(Cursor *p, Cursor end, Text *raw);

LOCAL int read_flag(Cursor *p, Cursor end, int8_t *flag);

#endif
