/*
 * What carriers of other shapes have in common: reading an object by a table of its members in one pass, and writing
 * a record from places in it.
 *
 * Nothing is decoded here: texts are copied as they are spelled, and only those that JSON's encoder would spell just
 * so. Whatever takes more thought is refused, and told in Python.
 */
#ifndef TOKENTRAIL_TOLD_H
#define TOKENTRAIL_TOLD_H

#include "labels.h"
#include "values.h"

/* What a member must be; null is as good as absent, but for ANY, OBJECT and UNREAD. */
enum { TEXT, TRUTH, WHOLE, NOTHING, ANY, OBJECT, OBJECT_OR_NULL, UNREAD };

typedef struct Shape Shape;

typedef struct {
    const char *name;
    uint8_t size, kind, slot; /* slot: where the value is noted, which no other member of the table has; 0: nowhere */
    const Shape *inside;
} Field;

struct Shape {
    const Field *fields;
    uint8_t count; /* at most 64 */
    uint8_t closed; /* refuse members that the table lacks */
};

#define FIELD(name, kind, slot) {name, sizeof(name) - 1, kind, slot, NULL}
#define INSIDE(name, kind, slot, shape) {name, sizeof(name) - 1, kind, slot, &(shape)}
#define SHAPE(fields, closed) {fields, sizeof(fields) / sizeof *(fields), closed}

enum { OPEN, CLOSED };

typedef struct {
    PyObject_HEAD
    Labels names, sources, members, templates;
    PyObject *decode, *wanted, *template, *found; /* `found`: a list of templates, by the number of their label */
    PyObject *key_stand_in, *time_stand_in;
    uint64_t seed;
    Buffer out, key;
    int outcome; /* of the record that is told: 0, REFUSED or FAILED */
    int busy;
} Teller;

static int read_shape(Cursor *p, Cursor end, const Shape *shape, Text *slots);

/* The value of a member, noted with its quotation marks unless it is a TEXT. */
static int read_field(Cursor *p, Cursor end, const Field *field, Text *slots)
{
    Cursor start = *p;
    Text ignored, *to = field->slot ? &slots[field->slot] : &ignored;
    int outcome;

    if (field->kind == TEXT)
        return read_text(p, end, to);
    if (field->kind == OBJECT || (field->kind == OBJECT_OR_NULL && *start == '{')) {
        if (*start != '{' || (outcome = read_shape(p, end, field->inside, slots)) < 0)
            return REFUSED;
    }
    else if ((*p = value_end(start, end, 1)) == NULL)
        return REFUSED;
    to->at = start;
    to->size = (size_t)(*p - start);
    to->flags = 0;
    if (field->kind == ANY || field->kind == UNREAD || field->kind == OBJECT)
        return 0;
    if (*start == 'n') {
        to->at = NULL;
        return 0;
    }
    switch (field->kind) {
    case TRUTH:
        return *start == 't' || *start == 'f' || *start == '"' ? 0 : REFUSED;
    case WHOLE:
        for (Cursor at = start; at < *p; at++)
            if (*at < '0' || *at > '9')
                return REFUSED;
        return to->size <= 15 ? 0 : REFUSED;
    case OBJECT_OR_NULL:
        return *start == '{' ? 0 : REFUSED;
    default:
        return REFUSED;
    }
}

/* Reads the object at `*p`; a member that stands there twice is refused, since the last one would count. */
static int read_shape(Cursor *p, Cursor end, const Shape *shape, Text *slots)
{
    Member member;
    uint64_t seen = 0;
    int found, first, n, at = 0;

    if (**p != '{')
        return REFUSED;
    ++*p;
    for (first = 1; (found = next_member(p, end, first, &member)) == 1; first = 0) {
        for (n = 0; n < shape->count; n++, at++) { /* from where the last one was: they come in one order, mostly */
            at = at < shape->count ? at : 0;
            if (shape->fields[at].size == member.key_size
                && memcmp(shape->fields[at].name, member.key, member.key_size) == 0)
                break;
        }
        if (n < shape->count) {
            if (seen >> at & 1)
                return REFUSED;
            seen |= (uint64_t)1 << at;
            if (read_field(p, end, &shape->fields[at], slots) < 0)
                return REFUSED;
        }
        else if (shape->closed || (*p = value_end(*p, end, 1)) == NULL)
            return REFUSED;
    }
    return found;
}

static int is_text(const Text *raw)
{
    return raw->at != NULL && *raw->at == '"';
}

/* The inside of a text that was noted with its quotation marks. */
static Text inside_of(const Text *raw)
{
    Text text = {raw->at + 1, raw->size - 2, 0};

    if (memchr(text.at, '\\', text.size))
        text.flags = ESCAPED;
    return text;
}

/* Whether JSON's encoder would spell a text just so. */
static int is_usual(const Text *text)
{
    size_t n;

    if (!(text->flags & ESCAPED))
        return 1;
    for (n = 0; n + 1 < text->size; n++)
        if (text->at[n] == '\\') {
            n++;
            if (text->at[n] == '/' || text->at[n] == 'u')
                return 0;
        }
    return 1;
}

static void refuse(Teller *self)
{
    if (self->outcome == 0)
        self->outcome = REFUSED;
}

static void add(Teller *self, const void *bytes, size_t size)
{
    if (self->outcome == 0 && put(&self->out, bytes, size) < 0)
        self->outcome = FAILED;
}

#define ADD(self, literal) add(self, literal, sizeof(literal) - 1)

/* A member's name, with a comma where it is not the first. */
static void add_name(Teller *self, const void *name, size_t size)
{
    if (self->outcome == 0 && self->out.used && self->out.at[self->out.used - 1] != '{')
        ADD(self, ",");
    ADD(self, "\"");
    add(self, name, size);
    ADD(self, "\":");
}

#define NAME_IT(self, name) add_name(self, name, sizeof(name) - 1)

static void add_quoted(Teller *self, const Text *text)
{
    if (!is_usual(text))
        refuse(self);
    ADD(self, "\"");
    add(self, text->at, text->size);
    ADD(self, "\"");
}

/* A member that is a text, unless there is none. */
static void say_text(Teller *self, const char *name, const Text *text)
{
    if (text->at != NULL) {
        add_name(self, name, strlen(name));
        add_quoted(self, text);
    }
}

/* The same, null where there is none. */
static void say_text_or_null(Teller *self, const char *name, const Text *text)
{
    say_text(self, name, text);
    if (text->at == NULL) {
        add_name(self, name, strlen(name));
        ADD(self, "null");
    }
}

/* A member as it is spelled. */
static void say_raw(Teller *self, const char *name, const Text *raw)
{
    if (raw->at != NULL) {
        add_name(self, name, strlen(name));
        add(self, raw->at, raw->size);
    }
}

/* A flag, or the text of one. */
static void say_flag(Teller *self, const char *name, const Text *raw)
{
    Text text = *raw;

    if (is_text(raw)) {
        text = inside_of(raw);
        if (!(text.size == 4 && memcmp(text.at, "true", 4) == 0) && !(text.size == 5 && memcmp(text.at, "false", 5) == 0))
            refuse(self);
    }
    say_raw(self, name, &text);
}

/* A flag or a text, whichever it is. */
static void say_as_it_is(Teller *self, const char *name, const Text *raw)
{
    Text text;

    if (is_text(raw)) {
        text = inside_of(raw);
        say_text(self, name, &text);
    }
    else
        say_raw(self, name, raw);
}

/* A time of which no more than the fraction of its second is dropped. */
static void say_moment(Teller *self, const char *name, const Text *text)
{
    Text whole = {NULL, 0, 0};
    char spelled[20];
    int64_t seconds;
    size_t n = 19;

    if (text->at == NULL)
        return;
    if (text->size < 20 || text->size > 40 || text->at[text->size - 1] != 'Z') {
        refuse(self);
        return;
    }
    if (text->at[n] == '.')
        for (n++; text->at[n] >= '0' && text->at[n] <= '9'; n++)
            ;
    memcpy(spelled, text->at, 19);
    spelled[19] = 'Z';
    whole.at = (Cursor)spelled;
    whole.size = 20;
    if (n != text->size - 1 || n == 20 || read_time(&whole, &seconds) < 0)
        refuse(self);
    say_text(self, name, &whole);
}

/* The resources of a list of objects whose ARN the shape notes in slot 1. */
static void say_resources(Teller *self, const Text *raw, Cursor end, const Shape *shape)
{
    Cursor p = raw->at;
    Text slots[2];

    if (p == NULL || *p == 'n')
        return;
    if (*p != '[') {
        refuse(self);
        return;
    }
    p = white(p + 1);
    if (*p == ']')
        return;
    NAME_IT(self, "resources");
    for (ADD(self, "["); self->outcome == 0; ADD(self, ",")) {
        memset(slots, 0, sizeof slots);
        if (read_shape(&p, end, shape, slots) < 0) {
            refuse(self);
            return;
        }
        ADD(self, "{");
        say_text_or_null(self, "ARN", &slots[1]);
        ADD(self, "}");
        p = white(p);
        if (*p == ']')
            break;
        p = white(p + 1);
    }
    ADD(self, "]");
}

#define LONGEST_NAME 256 /* of what is remembered */
#define MOST 4096 /* of anything that is remembered, so that evidence can't fill the memory */

/* What of a call says something, as `slim.wanted` has it. */
static int wanted_of(Teller *self, const Text *name, const Text *source)
{
    const Entry *found;
    int mark;

    if (self->outcome < 0)
        return 0;
    if (name->size > LONGEST_NAME || source->size > LONGEST_NAME) {
        refuse(self);
        return 0;
    }
    if ((found = label_of(&self->names, name, self->seed, self->decode, &self->outcome)) == NULL)
        return 0;
    mark = found->mark;
    if ((found = label_of(&self->sources, source, self->seed, self->decode, &self->outcome)) == NULL)
        return 0;
    self->outcome = 0;
    mark |= found->mark;
    return PyBytes_AsString(self->wanted)[mark & 63];
}

#endif
