#include "record.h"

/* Checks what is told of another partition: an object whose source is named by a text, or null. */
static int read_partition(Cursor *p, Cursor end)
{
    Member member;
    Text text;
    int found, first = 1;

    if (**p != '{')
        return (*p = word_end(*p, end, "null", 4)) ? 0 : REFUSED;
    for (++*p; (found = next_member(p, end, first, &member)) == 1; first = 0) {
        if (IS(member, "sourcePrincipalArn"))
            found = read_text(p, end, &text);
        else
            found = (*p = value_end(*p, end, 2)) ? 0 : REFUSED;
        if (found < 0)
            return found;
    }
    return found;
}

static int read_additional(Cursor *p, Cursor end, Record *record)
{
    Cursor start = *p;
    Member member;
    Text text;
    int8_t flag;
    int found, first = 1, asked = 0;

    record->row.bytes_out = Py_NAN;
    record->raw[ADDITIONAL].at = NULL;
    if (*start != '{')
        return (*p = word_end(start, end, "null", 4)) ? 0 : REFUSED;
    for (*p = start + 1; (found = next_member(p, end, first, &member)) == 1; first = 0) {
        if (IS(member, "bytesTransferredOut"))
            found = read_count(p, end, &record->row.bytes_out);
        else if (IS(member, "grant_type") || IS(member, "MFAUsed") || IS(member, "SwitchFrom"))
            found = read_text(p, end, &text);
        else if (IS(member, "signInSessionArn") || IS(member, "lakeFormationPrincipal")
                 || IS(member, "lakeFormationRoleSessionName")) {
            asked = 1;
            found = read_text(p, end, &text);
        }
        else if (IS(member, "crossPartitionData")) {
            asked = 1;
            found = read_partition(p, end);
        }
        else if (IS(member, "success")) {
            asked = 1;
            found = **p == '"' ? read_text(p, end, &text) : read_flag(p, end, &flag);
        }
        else if (IS(member, "explicitTrustGrant")) {
            asked = 1;
            found = read_flag(p, end, &flag);
        }
        else if (IS(member, "callWithBearerToken"))
            return REFUSED; /* the caller may be an API key */
        else
            found = (*p = value_end(*p, end, 1)) ? 0 : REFUSED;
        if (found < 0)
            return found;
    }
    record->raw[ADDITIONAL].at = asked ? start : NULL; /* nobody asks for another member of it */
    record->raw[ADDITIONAL].size = (size_t)(*p - start);
    return found;
}

/* Writes one ARN behind those of the same record that were written before it. */
static int write_arn(Scanner *self, Record *record, const Text *arn)
{
    Buffer *to = &self->resources;
    PyObject *label;
    const char *utf8;
    Py_ssize_t size;
    size_t n;
    int outcome = 0;

    if (arn->at == NULL || arn->size == 0)
        return 0;
    if (record->resource && (outcome = put(to, "\n", 1)) == 0)
        record->resource++;
    for (n = 0; n < arn->size && arn->at[n] < 0x80 && !(arn->flags & ESCAPED); n++)
        ;
    if (n == arn->size) {
        record->resource += arn->size;
        return outcome < 0 ? outcome : put(to, arn->at, arn->size);
    }
    label = decoded(arn, self->decode);
    if (label == NULL)
        return PyErr_Occurred() ? FAILED : REFUSED;
    utf8 = PyUnicode_AsUTF8AndSize(label, &size);
    outcome = utf8 ? put(to, utf8, (size_t)size) : FAILED;
    record->resource += utf8 ? (size_t)size : 0;
    Py_DECREF(label);
    return outcome;
}

static int read_resources(Scanner *self, Cursor *p, Cursor end, Record *record)
{
    Member member;
    Text arn;
    int found, first;

    self->resources.used -= record->resource; /* the last of two members of this name counts */
    record->resource = 0;
    if (**p != '[')
        return (*p = word_end(*p, end, "null", 4)) ? 0 : REFUSED;
    *p = white(*p + 1);
    if (**p == ']') {
        ++*p;
        return 0;
    }
    for (;;) {
        if (**p != '{')
            return REFUSED;
        ++*p;
        arn.at = NULL;
        for (first = 1; (found = next_member(p, end, first, &member)) == 1; first = 0) {
            if (IS(member, "ARN"))
                found = read_text(p, end, &arn);
            else
                found = (*p = value_end(*p, end, 1)) ? 0 : REFUSED;
            if (found < 0)
                return found;
        }
        if (found < 0 || (found = write_arn(self, record, &arn)) < 0)
            return found;
        *p = white(*p);
        if (**p == ']') {
            ++*p;
            return 0;
        }
        if (**p != ',')
            return REFUSED;
        *p = white(*p + 1);
    }
}

static int read_console(Cursor *p, Cursor end, int8_t *console)
{
    Text text;
    int outcome;

    if (**p != '"') {
        outcome = read_flag(p, end, console);
        *console = *console == 1;
        return outcome;
    }
    outcome = read_text(p, end, &text);
    *console = text.size == 4 && (memcmp(text.at, "true", 4) == 0 || memcmp(text.at, "True", 4) == 0);
    return text.flags & ESCAPED ? REFUSED : outcome;
}

/* No text is as good as an empty one. */
static int read_fault(Cursor *p, Cursor end, Text *fault)
{
    int outcome = read_text(p, end, fault);

    if (outcome == 0 && fault->at && fault->size == 0)
        fault->at = NULL;
    return outcome;
}

static int read_identity(Scanner *self, Cursor *p, Cursor end, Record *record)
{
    Known *known = known_place(self->known, *p, end, self->seed);

    record->known = known;
    record->caller = -1;
    if (**p == '"')
        return REFUSED; /* text: another carrier's spelling */
    if (!is_known(known, &self->identities, *p, end))
        return read_raw(p, end, &record->identity);
    record->identity.at = *p;
    record->identity.size = known->size;
    record->caller = known->code;
    *p += known->size;
    return 0;
}

static int read_member(Scanner *self, Cursor *p, Cursor end, const Member *m, Record *record)
{
    switch (m->key_size) {
    case 7:
        if (IS(*m, "eventID"))
            return read_text(p, end, &record->id);
        break;
    case 8:
        if (IS(*m, "readOnly"))
            return read_flag(p, end, &record->row.read_only);
        break;
    case 9:
        if (IS(*m, "eventTime"))
            return read_text(p, end, &record->time);
        if (IS(*m, "eventName"))
            return read_text(p, end, &record->labelled[NAME]);
        if (IS(*m, "awsRegion"))
            return read_text(p, end, &record->labelled[REGION]);
        if (IS(*m, "userAgent"))
            return read_text(p, end, &record->labelled[AGENT]);
        if (IS(*m, "errorCode"))
            return read_fault(p, end, &record->labelled[FAULT]);
        if (IS(*m, "resources"))
            return read_resources(self, p, end, record);
        break;
    case 11:
        if (IS(*m, "eventSource"))
            return read_text(p, end, &record->labelled[SOURCE]);
        break;
    case 12:
        if (IS(*m, "userIdentity"))
            return read_identity(self, p, end, record);
        break;
    case 13:
        if (IS(*m, "sharedEventID"))
            return read_text(p, end, &record->shared);
        if (IS(*m, "vpcEndpointId"))
            return read_text(p, end, &record->labelled[ENDPOINT]);
        break;
    case 15:
        if (IS(*m, "sourceIPAddress"))
            return read_text(p, end, &record->labelled[IP]);
        if (IS(*m, "managementEvent"))
            return read_flag(p, end, &record->row.management);
        break;
    case 16:
        if (IS(*m, "responseElements"))
            return read_raw(p, end, &record->raw[ANSWER]);
        break;
    case 17:
        if (IS(*m, "requestParameters"))
            return read_raw(p, end, &record->raw[REQUEST]);
        break;
    case 18:
        if (IS(*m, "recipientAccountId"))
            return read_text(p, end, &record->labelled[ACCOUNT]);
        break;
    case 19:
        if (IS(*m, "additionalEventData"))
            return read_additional(p, end, record);
        if (IS(*m, "serviceEventDetails"))
            return read_raw(p, end, &record->raw[DETAILS]);
        break;
    case 20:
        if (IS(*m, "vpcEndpointAccountId"))
            return read_text(p, end, &record->labelled[ENDPOINT_OWNER]);
        break;
    case 28:
        if (IS(*m, "sessionCredentialFromConsole"))
            return read_console(p, end, &record->row.console);
        break;
    }
    return (*p = value_end(*p, end, 1)) ? 0 : REFUSED;
}

/* Whether a service tells in the request that the caller is an API key, as `bearer.py` says. */
static int tells_in_request(const Text *source)
{
    static const char *const names[] = {"bedrock-mantle.amazonaws.com", "aws-external-anthropic.amazonaws.com"};
    size_t n;

    for (n = 0; n < sizeof names / sizeof *names; n++)
        if (source->at && source->size == strlen(names[n]) && memcmp(source->at, names[n], source->size) == 0)
            return 1;
    return 0;
}

/* Keeps what a call has to tell that is looked into; of one that just names a resource, its request alone. */
static int keep(Scanner *self, const Record *record, const Entry *source, const Entry *name, int mark, int whole)
{
    const Text *raw = record->raw;
    PyObject *told[CALL] = {NULL};
    int n, outcome = 0;

    told[AT] = PyLong_FromSsize_t(self->count);
    told[MARK] = PyLong_FromLong(mark);
    told[WHOLE] = PyBool_FromLong(whole);
    told[FROM] = Py_NewRef(source->label);
    told[NAMED] = Py_NewRef(name->label);
    told[SHARED] = whole && record->shared.at ? decoded(&record->shared, self->decode) : Py_NewRef(Py_None);
    for (n = 0; n < KEPT; n++) {
        if (raw[n].at && (whole || n == REQUEST)) {
            told[RAW + n] = PyBytes_FromStringAndSize((const char *)raw[n].at, (Py_ssize_t)raw[n].size);
            self->kept += raw[n].size;
        }
        else
            told[RAW + n] = Py_NewRef(self->missing);
    }
    for (n = 0; n < CALL; n++)
        if (told[n] == NULL || (outcome == 0 && PyList_Append(self->calls[n], told[n]) < 0))
            outcome = REFUSED;
    for (n = 0; n < CALL; n++)
        Py_XDECREF(told[n]);
    return PyErr_Occurred() ? FAILED : outcome; /* lists of unequal length are cut back with the rows */
}

/* Fills in what is left of a record's row, and writes it. */
static int write_row(Scanner *self, Record *record, int32_t object, int32_t ordinal)
{
    const Entry *found, *source = NULL, *name = NULL;
    Row *row = &record->row;
    PyObject *text, *odd;
    int n, mark, wanted, succeeded = record->labelled[FAULT].at == NULL, outcome;

    for (n = 0; n < LABELLED; n++) {
        found = label_of(&self->labels[n], &record->labelled[n], self->seed, self->decode, &outcome);
        if (found == NULL)
            return outcome;
        row->labels[n] = found->code;
        source = n == SOURCE ? found : source;
        name = n == NAME ? found : name;
    }
    if (record->caller < 0) {
        found = label_of(&self->identities, &record->identity, self->seed, NULL, &outcome);
        if (found == NULL)
            return outcome;
        note(record->known, found);
        record->caller = found->code;
    }
    if (self->resources.used > INT32_MAX)
        return REFUSED;
    row->identity = record->caller;
    row->object = object;
    row->ordinal = ordinal;
    row->resource_end = (int32_t)self->resources.used;
    outcome = 0;
    if (!read_uuid(&record->id, row->event_id)) {
        text = decoded(&record->id, self->decode);
        odd = text ? Py_BuildValue("nN", self->count, text) : NULL;
        outcome = odd ? PyList_Append(self->odd_ids, odd) : PyErr_Occurred() ? FAILED : REFUSED;
        Py_XDECREF(odd);
    }
    mark = source->mark | name->mark;
    wanted = PyBytes_AsString(self->wanted)[mark & 63];
    if (outcome == 0 && wanted & ((succeeded ? 1 : 0) | (record->resource ? 0 : 2)))
        outcome = keep(self, record, source, name, mark, succeeded && wanted & 1);
    if (outcome == 0 && put(&self->rows, row, sizeof *row) < 0)
        outcome = FAILED;
    self->count += outcome == 0;
    return outcome;
}

int read_record(Scanner *self, Cursor *p, Cursor end, int32_t object, int32_t ordinal, int64_t *seconds)
{
    static const Text null = {(Cursor) "null", 4, 0};
    Cursor start = *p;
    Record record;
    Member member;
    int found, first;

    memset(&record, 0, sizeof record);
    record.identity = null;
    record.caller = -1;
    record.row.read_only = record.row.management = UNKNOWN;
    record.row.bytes_out = Py_NAN;
    if (**p != '{')
        return REFUSED;
    ++*p;
    for (first = 1; (found = next_member(p, end, first, &member)) == 1; first = 0)
        if ((found = read_member(self, p, end, &member, &record)) < 0)
            return found;
    if (found < 0 || (found = read_time(&record.time, &record.row.time)) < 0)
        return found;
    if (!record.id.size || !record.labelled[NAME].size)
        return REFUSED;
    if (record.identity.size == null.size && memcmp(record.identity.at, null.at, null.size) == 0)
        return REFUSED;
    if (record.labelled[SOURCE].flags & ESCAPED
        || (record.labelled[SOURCE].size == 6 && memcmp(record.labelled[SOURCE].at, "aws:s3", 6) == 0))
        return REFUSED; /* a notification, or spelled in a way that it may be one */
    if (tells_in_request(&record.labelled[SOURCE]))
        return REFUSED;
    if (!is_unicode((const char *)start, *p - start))
        return PyErr_Occurred() ? FAILED : REFUSED;
    *seconds = record.row.time;
    return write_row(self, &record, object, ordinal);
}
