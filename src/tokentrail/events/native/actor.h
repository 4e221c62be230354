/*
 * Who acted in an OCSF event: put together in Python (`carriers/actors.py`), once for all that differ in a key and a
 * time alone, and filled in here.
 */
#ifndef TOKENTRAIL_ACTOR_H
#define TOKENTRAIL_ACTOR_H

#include "unmapped.h"

enum {
    O_NOWHERE, O_CLASS, O_ID, O_VERSION, O_PRODUCT, O_PRODUCT_NAME, O_OPERATION, O_SERVICE, O_SERVICE_NAME, O_ASKED,
    O_ANSWERED, O_ERROR, O_TIME, O_ACTOR, O_KEY, O_BEGAN, O_BEGAN_TEXT, O_REGION, O_ACCOUNT, O_IP, O_DOMAIN, O_HOST,
    O_ENDPOINT, O_AGENT, O_RESOURCES, O_UNMAPPED, O_USER, O_STATUS, O_FACTOR, O_IS_FACTOR, O_OTHER, O_SLOTS
};

/* A second, counted from 1970 in thousandths, as CloudTrail spells it. */
static void spell_moment(int64_t milliseconds, char *to)
{
    int64_t seconds = milliseconds / 1000, days = seconds / 86400 + 719468, era, year;
    int rest = (int)(seconds % 86400), day_of_era, year_of_era, day_of_year, month, day;
    int parts[6];
    static const uint8_t places[6] = {0, 5, 8, 11, 14, 17}, widths[6] = {4, 2, 2, 2, 2, 2};

    era = days / 146097; /* Howard Hinnant, 'chrono-compatible low-level date algorithms' */
    day_of_era = (int)(days % 146097);
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * day_of_year + 2) / 153;
    day = day_of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    year = era * 400 + year_of_era + (month <= 2);
    parts[0] = (int)year, parts[1] = month, parts[2] = day;
    parts[3] = rest / 3600, parts[4] = rest / 60 % 60, parts[5] = rest % 60;
    memcpy(to, "0000-00-00T00:00:00Z", 20);
    for (int n = 0; n < 6; n++)
        for (int place = widths[n] - 1, left = parts[n]; place >= 0; place--, left /= 10)
            to[places[n] + place] = (char)('0' + left % 10);
}

#define LATEST (1LL << 45)

/* The thousandths of a second of a time that counts; 0 for any other. */
static int64_t milliseconds_of(const Text *raw)
{
    int64_t found = 0;

    if (!is_whole(raw) || *raw->at == '-')
        return 0;
    for (size_t n = 0; n < raw->size; n++)
        found = found * 10 + raw->at[n] - '0';
    return found < LATEST ? found : 0;
}

static int is_key(const Text *raw)
{
    if (!is_text(raw) || raw->size < 3)
        return 0;
    for (size_t n = 1; n + 1 < raw->size; n++)
        if (!((raw->at[n] >= '0' && raw->at[n] <= '9') || ((raw->at[n] | 32) >= 'a' && (raw->at[n] | 32) <= 'z')))
            return 0;
    return 1;
}

/* Writes to `key`, behind what is there: the actor, with stand-ins for its key and its time. */
static int generalise(Teller *self, const Text *in, int has_key, int has_time)
{
    const Text nothing = {(Cursor) "\"\"", 2, 0};
    struct {
        const Text *old;
        Text instead;
    } cuts[3];
    Cursor from = in[O_ACTOR].at, actor_end = from + in[O_ACTOR].size;
    int count = 0, n, m;

    if (has_key) {
        cuts[count].old = &in[O_KEY];
        cuts[count].instead.at = (Cursor)PyBytes_AsString(self->key_stand_in);
        cuts[count++].instead.size = (size_t)PyBytes_Size(self->key_stand_in);
    }
    if (has_time) {
        cuts[count].old = &in[O_BEGAN];
        cuts[count].instead.at = (Cursor)PyBytes_AsString(self->time_stand_in);
        cuts[count++].instead.size = (size_t)PyBytes_Size(self->time_stand_in);
        if (is_text(&in[O_BEGAN_TEXT])) {
            cuts[count].old = &in[O_BEGAN_TEXT];
            cuts[count++].instead = nothing;
        }
    }
    for (n = 0; n < count; n++) { /* as they follow each other */
        int next = -1;
        for (m = 0; m < count; m++)
            if (cuts[m].old->at >= from && (next < 0 || cuts[m].old->at < cuts[next].old->at))
                next = m;
        if (put(&self->key, from, (size_t)(cuts[next].old->at - from)) < 0
            || put(&self->key, cuts[next].instead.at, cuts[next].instead.size) < 0)
            return FAILED;
        from = cuts[next].old->at + cuts[next].old->size;
    }
    return from ? put(&self->key, from, (size_t)(actor_end - from)) : 0;
}

#define LONGEST_KEY 4096

/* The template of an actor (borrowed), made where it was not met before; NULL where none can be. */
static PyObject *template_of(Teller *self, const Text *in, size_t told, int has_key, int has_time)
{
    const Entry *found;
    PyObject *made;
    Text key;
    Py_ssize_t code;

    if (put(&self->key, "", 1) < 0 || generalise(self, in, has_key, has_time) < 0) {
        self->outcome = FAILED;
        return NULL;
    }
    key.at = (Cursor)self->key.at;
    key.size = self->key.used;
    key.flags = 0;
    if (key.size > LONGEST_KEY) {
        refuse(self);
        return NULL;
    }
    if ((found = label_of(&self->templates, &key, self->seed, NULL, &self->outcome)) == NULL)
        return NULL;
    self->outcome = 0;
    code = found->code;
    while (PyList_Size(self->found) < code) /* those at which Python raised something */
        if (PyList_Append(self->found, Py_None) < 0) {
            self->outcome = FAILED;
            return NULL;
        }
    if (PyList_Size(self->found) == code) {
        PyObject *actor = PyBytes_FromStringAndSize(self->key.at + told + 1, (Py_ssize_t)(self->key.used - told - 1));
        PyObject *elsewhere = PyBytes_FromStringAndSize(self->key.at, (Py_ssize_t)told);

        made = PyObject_CallFunction(self->template, "NNii", actor, elsewhere, has_key, has_time);
        if (made == NULL || PyList_Append(self->found, made) < 0)
            self->outcome = FAILED;
        Py_XDECREF(made);
        if (self->outcome < 0)
            return NULL;
    }
    made = PyList_GetItem(self->found, code);
    if (made == NULL)
        self->outcome = FAILED;
    else if (made == Py_None) {
        refuse(self);
        return NULL;
    }
    return made;
}

/* Who called: a template's pieces, with a key (`k`) or a time (`t`) between each and the next. */
static void say_actor(Teller *self, const Text *in, size_t told)
{
    int64_t began = in[O_BEGAN].at ? milliseconds_of(&in[O_BEGAN]) : 0;
    int has_key = is_key(&in[O_KEY]), has_time = began > 0;
    PyObject *made = self->outcome < 0 ? NULL : template_of(self, in, told, has_key, has_time);
    PyObject *pieces, *ways;
    char spelled[20], *piece, *order;
    Py_ssize_t holes, size;

    if (made == NULL)
        return;
    if (!PyArg_ParseTuple(made, "O!S", &PyTuple_Type, &pieces, &ways) ||
        PyBytes_AsStringAndSize(ways, &order, &holes) < 0) {
        self->outcome = FAILED;
        return;
    }
    NAME_IT(self, "userIdentity");
    for (Py_ssize_t n = 0; n < PyTuple_Size(pieces) && self->outcome == 0; n++) {
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(pieces, n), &piece, &size) < 0) {
            self->outcome = FAILED;
            return;
        }
        add(self, piece, (size_t)size);
        if (n >= holes)
            continue;
        if (order[n] == 'k' && has_key)
            add(self, in[O_KEY].at + 1, in[O_KEY].size - 2);
        else if (has_time) {
            spell_moment(began, spelled);
            add(self, spelled, sizeof spelled);
        }
    }
}

#endif
