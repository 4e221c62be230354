/*
 * What an OCSF event says under `unmapped`: names joined by dots, and what they belong to.
 */
#ifndef TOKENTRAIL_UNMAPPED_H
#define TOKENTRAIL_UNMAPPED_H

#include "told.h"

/* What a name under `unmapped` is, as `ocsf_plain` numbers it. */
enum { M_NOTHING, M_IDENTITY, M_FLAG, M_ADDED, M_REQUESTED, M_ANSWERED, M_ODD };

enum { F_READ_ONLY, F_MANAGEMENT, F_RECIPIENT, F_SHARED, F_CONSOLE, F_ENDPOINT, F_ENDPOINT_OWNER, FLAGS };
static const char *const flag_names[FLAGS] = {
    "readOnly", "managementEvent", "recipientAccountId", "sharedEventID", "sessionCredentialFromConsole",
    "vpcEndpointId", "vpcEndpointAccountId",
};

/* A member of a request, an answer or the like, whose path is what is left of its dotted name. */
typedef struct {
    Cursor path;
    size_t size;
    Text value;
} Opened;

#define MOST_OPENED 64
#define DEEPEST_PATH 12

#define MOST_MET 128

typedef struct {
    Text flags[FLAGS];
    Opened opened[MOST_OPENED];
    int32_t met[MOST_MET]; /* the numbers of the names that say something */
    int count, met_count;
} Unmapped;

static int is_named(const Text *text, const char *name)
{
    return text->size == strlen(name) && memcmp(text->at, name, text->size) == 0;
}

static int starts_with(const Text *text, const char *head)
{
    size_t size = strlen(head);

    return text->at != NULL && text->size >= size && memcmp(text->at, head, size) == 0;
}

/* A whole number that stays as it is spelled when it is read and written again. */
static int is_whole(const Text *raw)
{
    size_t start = raw->size && *raw->at == '-';

    if (raw->size == start || raw->size > 15 || (raw->at[start] == '0' && raw->size > 1))
        return 0;
    for (size_t n = start; n < raw->size; n++)
        if (raw->at[n] < '0' || raw->at[n] > '9')
            return 0;
    return 1;
}

/* Adds what is said of the identity to a list of pairs that stands in `key`. */
static void tell_of_identity(Teller *self, const Member *member, const Text *value)
{
    Buffer *to = &self->key;

    if (put(to, to->at[to->used - 1] == '[' ? "[\"" : ",[\"", to->at[to->used - 1] == '[' ? 2 : 3) < 0
        || put(to, member->key, member->key_size) < 0 || put(to, "\",", 2) < 0 || put(to, value->at, value->size) < 0
        || put(to, "]", 1) < 0)
        self->outcome = FAILED;
}

static void note_opened(Teller *self, Unmapped *to, Cursor name, size_t size, const Text *value)
{
    if (to->count == MOST_OPENED || memchr(name, '[', size)) {
        refuse(self);
        return;
    }
    to->opened[to->count++] = (Opened){name, size, *value};
}

static void note_flag(Teller *self, Unmapped *to, const Member *member, const Text *value)
{
    const Text name = {member->key, member->key_size, 0};

    for (int n = 0; n < FLAGS; n++)
        if (is_named(&name, flag_names[n])) {
            if (to->flags[n].at != NULL || !(is_text(value) || (n == F_CONSOLE && (*value->at == 't' || *value->at == 'f'))
                                             || (n <= F_MANAGEMENT && (*value->at == 't' || *value->at == 'f'))))
                refuse(self); /* twice, or a number */
            to->flags[n] = *value;
            return;
        }
    refuse(self);
}

/* Whether a name stands there twice, of which the last one would count; so it is said of too many names. */
static int is_met(Unmapped *to, int32_t code)
{
    if (to->met_count == MOST_MET)
        return 1;
    for (int n = 0; n < to->met_count; n++)
        if (to->met[n] == code)
            return 1;
    to->met[to->met_count++] = code;
    return 0;
}

/* Notes one member of `unmapped`. */
static void note_unmapped(Teller *self, Unmapped *to, const Member *member, const Text *value, int wanted)
{
    const Text name = {member->key, member->key_size, 0};
    const Entry *found;

    if (*value->at == '{' || *value->at == '[' || (*value->at != '"' && *value->at != 't' && *value->at != 'f'
                                                  && *value->at != 'n' && !is_whole(value))
        || name.size > LONGEST_NAME || self->members.used >= 2 * MOST) { /* room was made before this event */
        refuse(self);
        return;
    }
    if ((found = label_of(&self->members, &name, self->seed, self->decode, &self->outcome)) == NULL)
        return;
    self->outcome = 0;
    if (found->mark == M_NOTHING)
        return;
    if (is_met(to, found->code)) {
        refuse(self);
        return;
    }
    if (found->mark == M_IDENTITY) {
        tell_of_identity(self, member, value);
        return;
    }
    if (*value->at == 'n' || (is_text(value) && value->size == 2))
        return;
    switch (found->mark) {
    case M_FLAG:
        note_flag(self, to, member, value);
        return;
    case M_ADDED:
        note_opened(self, to, name.at, name.size, value);
        return;
    case M_REQUESTED:
    case M_ANSWERED:
        if (found->mark == M_REQUESTED ? wanted : wanted & 1)
            note_opened(self, to, name.at, name.size, value);
        return;
    default:
        refuse(self);
    }
}

/* Reads what has no field of its own; what it says of the identity goes to `key`. */
static void read_unmapped(Teller *self, const Text *raw, Cursor end, Unmapped *to, int wanted)
{
    Cursor p = raw->at;
    Member member;
    Text value = {NULL, 0, 0};
    int found, first;

    memset(to->flags, 0, sizeof to->flags);
    to->count = to->met_count = 0;
    if (self->outcome < 0 || p == NULL || *p == 'n')
        return;
    if (*p != '{') {
        refuse(self);
        return;
    }
    p++;
    for (first = 1; (found = next_member(&p, end, first, &member)) == 1; first = 0) {
        value.at = p;
        if ((p = value_end(p, end, 1)) == NULL) {
            refuse(self);
            return;
        }
        value.size = (size_t)(p - value.at);
        note_unmapped(self, to, &member, &value, wanted);
        if (self->outcome < 0)
            return;
    }
    if (found < 0)
        refuse(self);
}

/* A count of bytes, which is a text there and a number in a record. */
static void add_count(Teller *self, const Text *raw)
{
    Text text = *raw;

    if (is_text(raw)) {
        text = inside_of(raw);
        if (text.size > 2 && memcmp(text.at + text.size - 2, ".0", 2) == 0)
            text.size -= 2;
    }
    if (!is_whole(&text) || *text.at == '-') {
        refuse(self);
        return;
    }
    add(self, text.at, text.size);
    if (is_text(raw))
        ADD(self, ".0");
}

static void add_opened(Teller *self, Opened *one, int counted)
{
    Text text;

    if (counted && one->size == 19 && memcmp(one->path, "bytesTransferredOut", 19) == 0)
        add_count(self, &one->value);
    else if (is_text(&one->value)) {
        text = inside_of(&one->value);
        add_quoted(self, &text);
    }
    else
        add(self, one->value.at, one->value.size);
}

/* An object of members by dotted names: those whose names begin alike lie together, where the first of them stands. */
static void add_level(Teller *self, Opened **of, int count, int depth, int counted)
{
    Opened *inner[MOST_OPENED];
    uint64_t done = 0;
    int n, m, many;

    ADD(self, "{");
    for (n = 0; n < count && self->outcome == 0; n++) {
        Cursor name = of[n]->path, dot = memchr(name, '.', of[n]->size);
        size_t size = dot ? (size_t)(dot - name) : of[n]->size;
        if (done >> n & 1)
            continue;
        if (size == 0 || depth == DEEPEST_PATH) {
            refuse(self);
            return;
        }
        for (many = 0, m = n; m < count; m++) {
            int goes_on = of[m]->size > size && of[m]->path[size] == '.';
            if (done >> m & 1 || of[m]->size < size || memcmp(of[m]->path, name, size) != 0 || (of[m]->size > size && !goes_on))
                continue;
            if (goes_on != (dot != NULL) || (!goes_on && m > n)) {
                refuse(self); /* a value and an object, or two values, in one place */
                return;
            }
            done |= (uint64_t)1 << m;
            inner[many++] = of[m];
        }
        add_name(self, name, size);
        if (dot == NULL) {
            add_opened(self, of[n], counted);
            continue;
        }
        for (m = 0; m < many; m++) {
            inner[m]->path += size + 1;
            inner[m]->size -= size + 1;
        }
        add_level(self, inner, many, depth + 1, counted && depth == 0);
    }
    ADD(self, "}");
}

/* The members of a request, an answer or the like that stand under `unmapped`; answers how many. */
static int say_opened(Teller *self, Unmapped *unmapped, const char *head)
{
    Opened *chosen[MOST_OPENED];
    size_t size = strlen(head);
    int count = 0;

    for (int n = 0; n < unmapped->count; n++) {
        Opened *one = &unmapped->opened[n];
        if (one->size > size && one->path[size] == '.' && memcmp(one->path, head, size) == 0) {
            one->path += size + 1;
            one->size -= size + 1;
            chosen[count++] = one;
        }
    }
    if (count) {
        add_name(self, head, size);
        add_level(self, chosen, count, 1, strcmp(head, "additionalEventData") == 0);
    }
    return count;
}

#endif
