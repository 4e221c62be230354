/*
 * Documents of Elastic's AWS integration: the records that `carriers/elastic_plain.py` makes of them, byte by byte.
 */
#ifndef TOKENTRAIL_ELASTIC_H
#define TOKENTRAIL_ELASTIC_H

#include "told.h"

enum {
    E_NOWHERE, E_TIME, E_SOURCE, E_AWS, E_TRAIL, E_EVENT, E_ACTION, E_PROVIDER, E_ID, E_REGION, E_ACCOUNT, E_ADDRESS,
    E_IP, E_PRINCIPAL, E_USER_NAME, E_AGENT, E_ERROR, E_RECIPIENT, E_SHARED, E_ENDPOINT, E_ENDPOINT_OWNER, E_READ_ONLY,
    E_MANAGEMENT, E_CONSOLE, E_RESOURCES, E_TYPE, E_ARN, E_KEY, E_INVOKED_BY, E_CREATED, E_FACTOR, E_ISSUER_TYPE,
    E_ISSUER_ID, E_ISSUER_ARN, E_ISSUER_ACCOUNT, E_OPENED, E_AS_TEXT = E_OPENED + 4, E_SLOTS = E_AS_TEXT + 4
};

static const Field e_issuer_fields[] = {
    FIELD("type", TEXT, E_ISSUER_TYPE), FIELD("principal_id", TEXT, E_ISSUER_ID), FIELD("arn", TEXT, E_ISSUER_ARN),
    FIELD("account_id", TEXT, E_ISSUER_ACCOUNT),
};
static const Shape e_issuer = SHAPE(e_issuer_fields, CLOSED);
static const Field e_context_fields[] = {
    FIELD("creation_date", TEXT, E_CREATED), FIELD("mfa_authenticated", TRUTH, E_FACTOR),
    INSIDE("session_issuer", OBJECT_OR_NULL, 0, e_issuer),
};
static const Shape e_context = SHAPE(e_context_fields, CLOSED);
static const Field e_identity_fields[] = {
    FIELD("type", TEXT, E_TYPE), FIELD("arn", TEXT, E_ARN), FIELD("access_key_id", TEXT, E_KEY),
    INSIDE("session_context", OBJECT_OR_NULL, 0, e_context), FIELD("invoked_by", TEXT, E_INVOKED_BY),
};
static const Shape e_identity = SHAPE(e_identity_fields, CLOSED);
static const Field e_flattened_fields[] = {
    FIELD("request_parameters", ANY, E_OPENED), FIELD("response_elements", ANY, E_OPENED + 1),
    FIELD("additional_eventdata", ANY, E_OPENED + 2), FIELD("service_event_details", ANY, E_OPENED + 3),
    FIELD("digest", UNREAD, 0), FIELD("insight_details", UNREAD, 0), FIELD("tls_details", UNREAD, 0),
};
static const Shape e_flattened = SHAPE(e_flattened_fields, CLOSED);
static const Field e_trail_fields[] = {
    FIELD("event_version", UNREAD, 0), FIELD("event_type", UNREAD, 0), FIELD("event_category", UNREAD, 0),
    FIELD("error_code", TEXT, E_ERROR), FIELD("error_message", UNREAD, 0), FIELD("request_id", UNREAD, 0),
    FIELD("read_only", TRUTH, E_READ_ONLY), FIELD("management_event", TRUTH, E_MANAGEMENT),
    FIELD("recipient_account_id", TEXT, E_RECIPIENT), FIELD("shared_event_id", TEXT, E_SHARED),
    FIELD("vpc_endpoint_id", TEXT, E_ENDPOINT), FIELD("vpc_endpoint_account_id", TEXT, E_ENDPOINT_OWNER),
    FIELD("session_credential_from_console", TRUTH, E_CONSOLE), INSIDE("user_identity", OBJECT, 0, e_identity),
    INSIDE("flattened", OBJECT, 0, e_flattened), FIELD("request_parameters", ANY, E_AS_TEXT),
    FIELD("response_elements", ANY, E_AS_TEXT + 1), FIELD("additional_eventdata", ANY, E_AS_TEXT + 2),
    FIELD("service_event_details", ANY, E_AS_TEXT + 3), FIELD("resources", ANY, E_RESOURCES),
    FIELD("api_version", UNREAD, 0), FIELD("console_login", UNREAD, 0), FIELD("digest", UNREAD, 0),
    FIELD("insight_details", UNREAD, 0), FIELD("tls_details", UNREAD, 0),
};
static const Shape e_trail = SHAPE(e_trail_fields, CLOSED);
static const Field e_aws_fields[] = {
    INSIDE("cloudtrail", OBJECT, E_TRAIL, e_trail), FIELD("s3", UNREAD, 0), FIELD("cloudwatch", UNREAD, 0),
};
static const Shape e_aws = SHAPE(e_aws_fields, CLOSED);
static const Field e_account_fields[] = {FIELD("id", TEXT, E_ACCOUNT), FIELD("name", UNREAD, 0)};
static const Shape e_account = SHAPE(e_account_fields, CLOSED);
static const Field e_cloud_fields[] = {
    INSIDE("account", OBJECT, 0, e_account), FIELD("region", TEXT, E_REGION), FIELD("availability_zone", UNREAD, 0),
    FIELD("instance", UNREAD, 0), FIELD("machine", UNREAD, 0), FIELD("provider", UNREAD, 0),
    FIELD("project", UNREAD, 0), FIELD("service", UNREAD, 0),
};
static const Shape e_cloud = SHAPE(e_cloud_fields, CLOSED);
static const Field e_event_fields[] = {
    FIELD("action", TEXT, E_ACTION), FIELD("id", TEXT, E_ID), FIELD("kind", UNREAD, 0), FIELD("outcome", UNREAD, 0),
    FIELD("provider", TEXT, E_PROVIDER), FIELD("original", NOTHING, 0), FIELD("agent_id_status", UNREAD, 0),
    FIELD("category", UNREAD, 0), FIELD("code", UNREAD, 0), FIELD("created", UNREAD, 0), FIELD("dataset", UNREAD, 0),
    FIELD("duration", UNREAD, 0), FIELD("end", UNREAD, 0), FIELD("hash", UNREAD, 0), FIELD("ingested", UNREAD, 0),
    FIELD("module", UNREAD, 0), FIELD("reason", UNREAD, 0), FIELD("reference", UNREAD, 0),
    FIELD("risk_score", UNREAD, 0), FIELD("risk_score_norm", UNREAD, 0), FIELD("sequence", UNREAD, 0),
    FIELD("severity", UNREAD, 0), FIELD("start", UNREAD, 0), FIELD("timezone", UNREAD, 0), FIELD("type", UNREAD, 0),
    FIELD("url", UNREAD, 0),
};
static const Shape e_event = SHAPE(e_event_fields, CLOSED);
static const Field e_origin_fields[] = {
    FIELD("address", TEXT, E_ADDRESS), FIELD("ip", TEXT, E_IP), FIELD("as", UNREAD, 0), FIELD("bytes", UNREAD, 0),
    FIELD("domain", UNREAD, 0), FIELD("geo", UNREAD, 0), FIELD("mac", UNREAD, 0), FIELD("nat", UNREAD, 0),
    FIELD("packets", UNREAD, 0), FIELD("port", UNREAD, 0), FIELD("registered_domain", UNREAD, 0),
    FIELD("user", UNREAD, 0),
};
static const Shape e_origin = SHAPE(e_origin_fields, CLOSED);
static const Field e_user_fields[] = {
    FIELD("id", TEXT, E_PRINCIPAL), FIELD("name", TEXT, E_USER_NAME), FIELD("changes", UNREAD, 0),
    FIELD("domain", UNREAD, 0), FIELD("effective", UNREAD, 0), FIELD("email", UNREAD, 0), FIELD("entity", UNREAD, 0),
    FIELD("full_name", UNREAD, 0), FIELD("group", UNREAD, 0), FIELD("hash", UNREAD, 0), FIELD("risk", UNREAD, 0),
    FIELD("roles", UNREAD, 0), FIELD("target", UNREAD, 0),
};
static const Shape e_user = SHAPE(e_user_fields, CLOSED);
static const Field e_agent_fields[] = {
    FIELD("original", TEXT, E_AGENT), FIELD("name", UNREAD, 0), FIELD("device", UNREAD, 0), FIELD("os", UNREAD, 0),
    FIELD("version", UNREAD, 0),
};
static const Shape e_agent = SHAPE(e_agent_fields, CLOSED);
static const Field e_source_fields[] = {
    FIELD("@timestamp", TEXT, E_TIME), INSIDE("aws", OBJECT, 0, e_aws), INSIDE("cloud", OBJECT, 0, e_cloud),
    INSIDE("event", OBJECT, E_EVENT, e_event), INSIDE("source", OBJECT, 0, e_origin),
    INSIDE("user", OBJECT, 0, e_user), INSIDE("user_agent", OBJECT, 0, e_agent), FIELD("message", NOTHING, 0),
    FIELD("@version", UNREAD, 0), FIELD("agent", UNREAD, 0), FIELD("data_stream", UNREAD, 0), FIELD("ecs", UNREAD, 0),
    FIELD("elastic_agent", UNREAD, 0), FIELD("entity", UNREAD, 0), FIELD("error", UNREAD, 0), FIELD("file", UNREAD, 0),
    FIELD("group", UNREAD, 0), FIELD("host", UNREAD, 0), FIELD("input", UNREAD, 0), FIELD("labels", UNREAD, 0),
    FIELD("log", UNREAD, 0), FIELD("organization", UNREAD, 0), FIELD("process", UNREAD, 0),
    FIELD("related", UNREAD, 0), FIELD("service", UNREAD, 0), FIELD("tags", UNREAD, 0), FIELD("target", UNREAD, 0),
    FIELD("threat", UNREAD, 0), FIELD("tls", UNREAD, 0),
};
static const Shape e_source = SHAPE(e_source_fields, CLOSED);
static const Field e_hit_fields[] = {
    FIELD("_index", UNREAD, 0), FIELD("_id", UNREAD, 0), INSIDE("_source", OBJECT, 0, e_source),
    FIELD("_type", UNREAD, 0), FIELD("_score", UNREAD, 0), FIELD("_version", UNREAD, 0), FIELD("_ignored", UNREAD, 0),
    FIELD("sort", UNREAD, 0), FIELD("fields", UNREAD, 0),
};
static const Shape e_hit = SHAPE(e_hit_fields, CLOSED);
static const Field e_listed_fields[] = {
    FIELD("arn", TEXT, 1), FIELD("account_id", UNREAD, 0), FIELD("type", UNREAD, 0),
};
static const Shape e_listed = SHAPE(e_listed_fields, CLOSED);

/* Who called, from what stands in four places of a document. */
static void say_elastic_identity(Teller *self, const Text *in)
{
    int issuer = in[E_ISSUER_TYPE].at || in[E_ISSUER_ID].at || in[E_ISSUER_ARN].at || in[E_ISSUER_ACCOUNT].at;
    int attributes = in[E_CREATED].at || in[E_FACTOR].at;

    NAME_IT(self, "userIdentity");
    if (!(issuer || attributes || in[E_TYPE].at || in[E_PRINCIPAL].at || in[E_ARN].at || in[E_ACCOUNT].at
          || in[E_KEY].at || in[E_INVOKED_BY].at)) {
        ADD(self, "null");
        return;
    }
    ADD(self, "{");
    say_text(self, "type", &in[E_TYPE]);
    say_text(self, "principalId", &in[E_PRINCIPAL]);
    say_text(self, "arn", &in[E_ARN]);
    say_text(self, "accountId", &in[E_ACCOUNT]);
    say_text(self, "accessKeyId", &in[E_KEY]);
    say_text(self, "invokedBy", &in[E_INVOKED_BY]);
    if (issuer || attributes) {
        NAME_IT(self, "sessionContext");
        ADD(self, "{");
        if (attributes) {
            NAME_IT(self, "attributes");
            ADD(self, "{");
            say_moment(self, "creationDate", &in[E_CREATED]);
            say_as_it_is(self, "mfaAuthenticated", &in[E_FACTOR]);
            ADD(self, "}");
        }
        if (issuer) {
            NAME_IT(self, "sessionIssuer");
            ADD(self, "{");
            say_text(self, "type", &in[E_ISSUER_TYPE]);
            say_text(self, "principalId", &in[E_ISSUER_ID]);
            say_text(self, "arn", &in[E_ISSUER_ARN]);
            say_text(self, "accountId", &in[E_ISSUER_ACCOUNT]);
            say_text(self, "userName", &in[E_USER_NAME]); /* the pipeline writes the role's name over it */
            ADD(self, "}");
        }
        ADD(self, "}");
    }
    if (!issuer)
        say_text(self, "userName", &in[E_USER_NAME]);
    ADD(self, "}");
}

/* A request or an answer that stands there as an object; where it stands there in another way, it is refused. */
static void say_elastic_part(Teller *self, const char *name, const Text *in, int which, int said)
{
    const Text *opened = &in[E_OPENED + which];

    if (opened->at ? *opened->at != '{' : in[E_AS_TEXT + which].at != NULL)
        refuse(self);
    if (said)
        say_raw(self, name, opened);
}

/* Counts that came as text are for the ordinary way. */
static void check_counts(Teller *self, const Text *additional, Cursor end)
{
    Cursor p = additional->at;
    Member member;
    int found, first;

    if (p == NULL || self->outcome < 0)
        return;
    p++;
    for (first = 1; (found = next_member(&p, end, first, &member)) == 1; first = 0) {
        if ((IS(member, "bytesTransferredOut") || IS(member, "bytesTransferredIn")) && *p == '"')
            found = REFUSED;
        else if ((p = value_end(p, end, 1)) == NULL)
            found = REFUSED;
        if (found < 0)
            break;
    }
    if (found < 0)
        refuse(self);
}

static void tell_elastic(Teller *self, Cursor p, Cursor end)
{
    Text in[E_SLOTS];
    int wanted;

    memset(in, 0, sizeof in);
    p = white(p);
    if (read_shape(&p, end, &e_hit, in) < 0 || white(p) != end || !in[E_TIME].at || !in[E_TRAIL].at || !in[E_EVENT].at
        || !in[E_ACTION].at) {
        refuse(self);
        return;
    }
    wanted = wanted_of(self, &in[E_ACTION], &in[E_PROVIDER]);
    ADD(self, "{");
    say_moment(self, "eventTime", &in[E_TIME]);
    say_text(self, "eventName", &in[E_ACTION]);
    say_text_or_null(self, "eventID", &in[E_ID]);
    say_elastic_identity(self, in);
    say_text(self, "eventSource", &in[E_PROVIDER]);
    say_text(self, "awsRegion", &in[E_REGION]);
    say_text(self, "sourceIPAddress", in[E_ADDRESS].at && in[E_ADDRESS].size ? &in[E_ADDRESS] : &in[E_IP]);
    say_text(self, "userAgent", &in[E_AGENT]);
    say_text(self, "errorCode", &in[E_ERROR]);
    say_elastic_part(self, "requestParameters", in, 0, wanted);
    say_elastic_part(self, "responseElements", in, 1, wanted & 1);
    say_elastic_part(self, "additionalEventData", in, 2, 1);
    check_counts(self, &in[E_OPENED + 2], end);
    say_elastic_part(self, "serviceEventDetails", in, 3, wanted & 1);
    say_flag(self, "readOnly", &in[E_READ_ONLY]);
    say_flag(self, "managementEvent", &in[E_MANAGEMENT]);
    say_resources(self, &in[E_RESOURCES], end, &e_listed);
    say_text(self, "recipientAccountId", &in[E_RECIPIENT]);
    say_text(self, "sharedEventID", &in[E_SHARED]);
    say_as_it_is(self, "sessionCredentialFromConsole", &in[E_CONSOLE]);
    say_text(self, "vpcEndpointId", &in[E_ENDPOINT]);
    say_text(self, "vpcEndpointAccountId", &in[E_ENDPOINT_OWNER]);
    ADD(self, "}");
}

#endif
