/*
 * OCSF events of Security Lake: the records that `carriers/ocsf_plain.py` makes of them, byte by byte.
 */
#ifndef TOKENTRAIL_OCSF_H
#define TOKENTRAIL_OCSF_H

#include "actor.h"

static const Field o_named_fields[] = {FIELD("name", TEXT, O_SERVICE_NAME)};
static const Shape o_named = SHAPE(o_named_fields, OPEN);
static const Field o_product_fields[] = {FIELD("name", TEXT, O_PRODUCT_NAME)};
static const Shape o_product = SHAPE(o_product_fields, OPEN);
static const Field o_request_fields[] = {FIELD("data", TEXT, O_ASKED)};
static const Shape o_request = SHAPE(o_request_fields, OPEN);
static const Field o_response_fields[] = {FIELD("data", TEXT, O_ANSWERED), FIELD("error", TEXT, O_ERROR)};
static const Shape o_response = SHAPE(o_response_fields, OPEN);
static const Field o_api_fields[] = {
    FIELD("operation", TEXT, O_OPERATION), INSIDE("service", OBJECT, O_SERVICE, o_named),
    INSIDE("request", OBJECT, 0, o_request), INSIDE("response", OBJECT, 0, o_response),
};
static const Shape o_api = SHAPE(o_api_fields, OPEN);
static const Field o_metadata_fields[] = {
    FIELD("uid", TEXT, O_ID), FIELD("version", TEXT, O_VERSION), INSIDE("product", OBJECT, O_PRODUCT, o_product),
};
static const Shape o_metadata = SHAPE(o_metadata_fields, OPEN);
static const Field o_account_fields[] = {FIELD("uid", TEXT, O_ACCOUNT)};
static const Shape o_account = SHAPE(o_account_fields, OPEN);
static const Field o_cloud_fields[] = {FIELD("region", TEXT, O_REGION), INSIDE("account", OBJECT, 0, o_account)};
static const Shape o_cloud = SHAPE(o_cloud_fields, OPEN);
static const Field o_endpoint_fields[] = {
    FIELD("ip", TEXT, O_IP), FIELD("domain", TEXT, O_DOMAIN), FIELD("hostname", TEXT, O_HOST),
    FIELD("uid", TEXT, O_ENDPOINT),
};
static const Shape o_endpoint = SHAPE(o_endpoint_fields, OPEN);
static const Field o_client_fields[] = {FIELD("user_agent", TEXT, O_AGENT)};
static const Shape o_client = SHAPE(o_client_fields, OPEN);
static const Field o_caller_fields[] = {FIELD("credential_uid", ANY, O_KEY)};
static const Shape o_caller = SHAPE(o_caller_fields, OPEN);
static const Field o_session_fields[] = {
    FIELD("created_time", ANY, O_BEGAN), FIELD("created_time_dt", ANY, O_BEGAN_TEXT),
};
static const Shape o_session = SHAPE(o_session_fields, OPEN);
static const Field o_actor_fields[] = {
    INSIDE("user", OBJECT, 0, o_caller), INSIDE("session", OBJECT, 0, o_session),
};
static const Shape o_actor = SHAPE(o_actor_fields, OPEN);
static const Field o_event_fields[] = {
    FIELD("class_uid", WHOLE, O_CLASS), INSIDE("cloud", OBJECT_OR_NULL, 0, o_cloud),
    INSIDE("http_request", OBJECT_OR_NULL, 0, o_client), INSIDE("metadata", OBJECT, 0, o_metadata),
    INSIDE("src_endpoint", OBJECT_OR_NULL, 0, o_endpoint), FIELD("time", WHOLE, O_TIME),
    INSIDE("api", OBJECT, 0, o_api), INSIDE("actor", OBJECT, O_ACTOR, o_actor), FIELD("resources", ANY, O_RESOURCES),
    FIELD("unmapped", ANY, O_UNMAPPED), FIELD("user", ANY, O_USER), FIELD("status", ANY, O_STATUS),
    FIELD("mfa", ANY, O_FACTOR), FIELD("is_mfa", ANY, O_IS_FACTOR), FIELD("eventTime", ANY, O_OTHER),
    FIELD("eventName", ANY, O_OTHER), FIELD("CloudTrailEvent", ANY, O_OTHER), FIELD("detail", ANY, O_OTHER),
};
static const Shape o_event = SHAPE(o_event_fields, OPEN);
static const Field o_listed_fields[] = {FIELD("uid", TEXT, 1)};
static const Shape o_listed = SHAPE(o_listed_fields, OPEN);
static const Field o_target_fields[] = {FIELD("uuid", ANY, 1), FIELD("name", ANY, 2)};
static const Shape o_target = SHAPE(o_target_fields, OPEN);

/* JSON that stands in a text, sure to be one object and nothing more. */
static void say_data(Teller *self, const char *name, const Text *text)
{
    size_t start, n;
    Cursor from = text->at, end;
    char *to;

    if (self->outcome < 0)
        return;
    add_name(self, name, strlen(name));
    start = self->out.used;
    if (self->outcome < 0 || (to = more(&self->out, text->size + 1)) == NULL) {
        self->outcome = self->outcome < 0 ? self->outcome : FAILED;
        return;
    }
    for (n = 0; n < text->size; n++) {
        uint8_t c = from[n];
        if (c == '\\') {
            switch (c = from[++n]) { /* an escape is never the last byte of a sound text */
            case 'b': c = '\b'; break;
            case 'f': c = '\f'; break;
            case 'n': c = '\n'; break;
            case 'r': c = '\r'; break;
            case 't': c = '\t'; break;
            case 'u': refuse(self); return;
            default: break;
            }
        }
        *to++ = (char)c;
    }
    *to = '\0';
    end = (Cursor)to;
    self->out.used = (size_t)(to - self->out.at);
    if (self->out.at[start] != '{' || value_end((Cursor)self->out.at + start, end, 1) != end)
        refuse(self);
}

static const Text *first_said(const Text *one, const Text *two)
{
    return one->at != NULL && one->size ? one : two;
}

/* A flag, unless its field said it already. */
static void say_unmapped_flag(Teller *self, const Unmapped *unmapped, int which)
{
    if (which <= F_MANAGEMENT)
        say_flag(self, flag_names[which], &unmapped->flags[which]);
    else
        say_as_it_is(self, flag_names[which], &unmapped->flags[which]);
}

static void say_field_or_flag(Teller *self, const Text *field, const Unmapped *unmapped, int which)
{
    if (field->at != NULL && field->size)
        say_text(self, flag_names[which], field);
    else
        say_unmapped_flag(self, unmapped, which);
}

/* Whether a number stands in a value that may be too large for Python's decoder, which refuses all of it then. */
static int holds_large(const Text *raw, Cursor end)
{
    Cursor p = raw->at, start;
    int flags = 0, powers;

    while (p != NULL && p < raw->at + raw->size) {
        if (*p == '"')
            p = string_end(p + 1, end, &flags) + 1; /* the value is sound */
        else if (*p >= '0' && *p <= '9') {
            for (start = p, powers = 0; (*p >= '0' && *p <= '9') || *p == '.' || *p == '-' || *p == '+' || (*p | 32) == 'e'; p++)
                powers |= (*p | 32) == 'e';
            if (powers || p - start > 15)
                return 1;
        }
        else
            p++;
    }
    return 0;
}

/* Version 1.0 moves the role and the session's name out of a request. */
static void give_back(Teller *self, const Text *in, Cursor end, Unmapped *to)
{
    static const char *const names[] = {"requestParameters.roleArn", "requestParameters.roleSessionName"};
    Cursor p = in[O_USER].at;
    Text target[3];
    int n, m;

    memset(target, 0, sizeof target);
    for (n = O_USER; n <= O_IS_FACTOR; n++)
        if (holds_large(&in[n], end))
            refuse(self);
    if (self->outcome < 0 || p == NULL || *p != '{')
        return;
    if (read_shape(&p, end, &o_target, target) < 0) {
        refuse(self);
        return;
    }
    for (n = 0; n < 2; n++) {
        const Text *value = &target[n + 1];
        const size_t size = strlen(names[n]);
        if (value->at == NULL || *value->at == 'n' || (is_text(value) && value->size == 2))
            continue;
        if (!is_text(value)) {
            refuse(self);
            return;
        }
        for (m = 0; m < to->count && !(to->opened[m].size == size && memcmp(to->opened[m].path, names[n], size) == 0); m++)
            ;
        if (m == to->count)
            note_opened(self, to, (Cursor)names[n], size, value);
    }
}

/* A request or an answer, from its own field or from `unmapped`; from both is refused. */
static void say_part(Teller *self, const char *name, const Text *data, int said, Unmapped *unmapped)
{
    if (said && data->at != NULL && data->size)
        say_data(self, name, data);
    else
        data = NULL;
    if (say_opened(self, unmapped, name) && data != NULL)
        refuse(self);
}

static void tell_ocsf(Teller *self, Cursor p, Cursor end, int old)
{
    Text in[O_SLOTS];
    Unmapped unmapped;
    int64_t time;
    int wanted;
    size_t told;
    char spelled[20];

    memset(in, 0, sizeof in);
    p = white(p);
    if (read_shape(&p, end, &o_event, in) < 0 || white(p) != end || !in[O_CLASS].at || !in[O_ID].at || !in[O_VERSION].at
        || !in[O_PRODUCT].at || !in[O_OPERATION].at || !in[O_SERVICE].at || !in[O_TIME].at || in[O_OTHER].at
        || in[O_VERSION].flags || in[O_OPERATION].flags || starts_with(&in[O_VERSION], "1.0") != old
        || (in[O_PRODUCT_NAME].at && !is_named(&in[O_PRODUCT_NAME], "CloudTrail")) || !(time = milliseconds_of(&in[O_TIME]))
        || (old && (is_named(&in[O_OPERATION], "ConsoleLogin") || is_named(&in[O_CLASS], "3001")))) {
        refuse(self);
        return;
    }
    wanted = wanted_of(self, &in[O_OPERATION], &in[O_SERVICE_NAME]);
    self->key.used = 0;
    if (put(&self->key, "[", 1) < 0)
        self->outcome = FAILED;
    read_unmapped(self, &in[O_UNMAPPED], end, &unmapped, wanted);
    if (old && starts_with(&in[O_OPERATION], "AssumeRole"))
        give_back(self, in, end, &unmapped);
    if (self->outcome == 0 && put(&self->key, "]", 1) < 0)
        self->outcome = FAILED;
    told = self->key.used;
    spell_moment(time, spelled);
    ADD(self, "{\"eventTime\":\"");
    add(self, spelled, sizeof spelled);
    ADD(self, "\"");
    say_text(self, "eventName", &in[O_OPERATION]);
    say_text(self, "eventID", &in[O_ID]);
    say_actor(self, in, told);
    say_text(self, "eventSource", &in[O_SERVICE_NAME]);
    say_text(self, "awsRegion", &in[O_REGION]);
    say_text(self, "sourceIPAddress", first_said(&in[O_IP], first_said(&in[O_DOMAIN], &in[O_HOST])));
    say_text(self, "userAgent", &in[O_AGENT]);
    if (in[O_ERROR].size)
        say_text(self, "errorCode", &in[O_ERROR]);
    say_part(self, "requestParameters", &in[O_ASKED], wanted, &unmapped);
    say_part(self, "responseElements", &in[O_ANSWERED], wanted & 1, &unmapped);
    say_opened(self, &unmapped, "additionalEventData");
    say_opened(self, &unmapped, "serviceEventDetails");
    say_unmapped_flag(self, &unmapped, F_READ_ONLY);
    say_unmapped_flag(self, &unmapped, F_MANAGEMENT);
    say_resources(self, &in[O_RESOURCES], end, &o_listed);
    say_field_or_flag(self, &in[O_ACCOUNT], &unmapped, F_RECIPIENT);
    say_unmapped_flag(self, &unmapped, F_SHARED);
    say_unmapped_flag(self, &unmapped, F_CONSOLE);
    say_field_or_flag(self, &in[O_ENDPOINT], &unmapped, F_ENDPOINT);
    say_unmapped_flag(self, &unmapped, F_ENDPOINT_OWNER);
    ADD(self, "}");
}

#endif
