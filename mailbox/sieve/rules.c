/* SPDX-License-Identifier: ISC */
/* The rows of commands, tests and options; see rules.h. */
#include "mailbox/sieve/rules.h"

#include <string.h>

#include "mailbox/sieve/checker.h"

#define END                      \
	{                        \
		NULL, 0, 0, 0, 0 \
	}

const struct sieve_option_rule sieve_match_options[] = {
	{ "is", OPT_IS, 0, EXT_BASE, GROUP_MATCH },
	{ "contains", OPT_CONTAINS, 0, EXT_BASE, GROUP_MATCH },
	{ "matches", OPT_MATCHES, 0, EXT_BASE, GROUP_MATCH },
	{ "regex", OPT_REGEX, 0, EXT_REGEX, GROUP_MATCH },
	{ "count", OPT_COUNT, 's', EXT_RELATIONAL, GROUP_MATCH },
	{ "value", OPT_VALUE, 's', EXT_RELATIONAL, GROUP_MATCH },
	{ "comparator", OPT_COMPARATOR, 's', EXT_BASE, GROUP_NONE },
	END,
};

const struct sieve_option_rule sieve_comparator_options[] = {
	{ "comparator", OPT_COMPARATOR, 's', EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule address_options[] = {
	{ "all", OPT_ALL, 0, EXT_BASE, GROUP_PART },
	{ "localpart", OPT_LOCALPART, 0, EXT_BASE, GROUP_PART },
	{ "domain", OPT_DOMAIN, 0, EXT_BASE, GROUP_PART },
	{ "user", OPT_USER, 0, EXT_SUBADDRESS, GROUP_PART },
	{ "detail", OPT_DETAIL, 0, EXT_SUBADDRESS, GROUP_PART },
	END,
};

static const struct sieve_option_rule index_options[] = {
	{ "index", OPT_INDEX, 'n', EXT_INDEX, GROUP_NONE },
	{ "last", OPT_LAST, 0, EXT_INDEX, GROUP_NONE },
	END,
};

static const struct sieve_option_rule mime_options[] = {
	{ "mime", OPT_MIME, 0, EXT_MIME, GROUP_NONE },
	{ "anychild", OPT_ANYCHILD, 0, EXT_MIME, GROUP_NONE },
	END,
};

static const struct sieve_option_rule mime_header_options[] = {
	{ "mime", OPT_MIME, 0, EXT_MIME, GROUP_NONE },
	{ "anychild", OPT_ANYCHILD, 0, EXT_MIME, GROUP_NONE },
	{ "type", OPT_TYPE, 0, EXT_MIME, GROUP_MIME_PART },
	{ "subtype", OPT_SUBTYPE, 0, EXT_MIME, GROUP_MIME_PART },
	{ "contenttype", OPT_CONTENTTYPE, 0, EXT_MIME, GROUP_MIME_PART },
	{ "param", OPT_PARAM, 'l', EXT_MIME, GROUP_MIME_PART },
	END,
};

static const struct sieve_option_rule size_options[] = {
	{ "over", OPT_OVER, 0, EXT_BASE, GROUP_SIZE },
	{ "under", OPT_UNDER, 0, EXT_BASE, GROUP_SIZE },
	END,
};

static const struct sieve_option_rule flags_options[] = {
	{ "flags", OPT_FLAGS, 'l', EXT_IMAP4FLAGS, GROUP_NONE },
	END,
};

static const struct sieve_option_rule fileinto_options[] = {
	{ "copy", OPT_COPY, 0, EXT_COPY, GROUP_NONE },
	{ "create", OPT_CREATE, 0, EXT_MAILBOX, GROUP_NONE },
	{ "specialuse", OPT_SPECIALUSE, 's', EXT_SPECIAL_USE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule redirect_options[] = {
	{ "copy", OPT_COPY, 0, EXT_COPY, GROUP_NONE },
	END,
};

static const struct sieve_option_rule fcc_options[] = {
	{ "fcc", OPT_FCC, 's', EXT_FCC, GROUP_NONE },
	{ "create", OPT_CREATE, 0, EXT_MAILBOX, GROUP_NONE },
	{ "specialuse", OPT_SPECIALUSE, 's', EXT_SPECIAL_USE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule body_options[] = {
	{ "raw", OPT_RAW, 0, EXT_BASE, GROUP_TRANSFORM },
	{ "content", OPT_CONTENT, 'l', EXT_BASE, GROUP_TRANSFORM },
	{ "text", OPT_TEXT, 0, EXT_BASE, GROUP_TRANSFORM },
	END,
};

static const struct sieve_option_rule modifier_options[] = {
	{ "lower", OPT_LOWER, 0, EXT_BASE, GROUP_CASE },
	{ "upper", OPT_UPPER, 0, EXT_BASE, GROUP_CASE },
	{ "lowerfirst", OPT_LOWERFIRST, 0, EXT_BASE, GROUP_FIRST },
	{ "upperfirst", OPT_UPPERFIRST, 0, EXT_BASE, GROUP_FIRST },
	{ "quotewildcard", OPT_QUOTEWILDCARD, 0, EXT_BASE, GROUP_QUOTE },
	{ "quoteregex", OPT_QUOTEREGEX, 0, EXT_REGEX, GROUP_QUOTE },
	{ "encodeurl", OPT_ENCODEURL, 0, EXT_ENOTIFY, GROUP_NONE },
	{ "length", OPT_LENGTH, 0, EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule vacation_options[] = {
	{ "days", OPT_DAYS, 'n', EXT_BASE, GROUP_PERIOD },
	{ "seconds", OPT_SECONDS, 'n', EXT_VACATION_SECONDS, GROUP_PERIOD },
	{ "subject", OPT_SUBJECT, 's', EXT_BASE, GROUP_NONE },
	{ "from", OPT_FROM, 's', EXT_BASE, GROUP_NONE },
	{ "addresses", OPT_ADDRESSES, 'l', EXT_BASE, GROUP_NONE },
	{ "mime", OPT_MIME, 0, EXT_BASE, GROUP_NONE },
	{ "handle", OPT_HANDLE, 's', EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule spam_options[] = {
	{ "percent", OPT_PERCENT, 0, EXT_SPAMTESTPLUS, GROUP_NONE },
	END,
};

static const struct sieve_option_rule zone_options[] = {
	{ "zone", OPT_ZONE, 's', EXT_BASE, GROUP_ZONE },
	END,
};

static const struct sieve_option_rule date_zone_options[] = {
	{ "zone", OPT_ZONE, 's', EXT_BASE, GROUP_ZONE },
	{ "originalzone", OPT_ORIGINALZONE, 0, EXT_BASE, GROUP_ZONE },
	END,
};

static const struct sieve_option_rule last_options[] = {
	{ "last", OPT_LAST, 0, EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule delete_options[] = {
	{ "index", OPT_INDEX, 'n', EXT_BASE, GROUP_NONE },
	{ "last", OPT_LAST, 0, EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule notify_options[] = {
	{ "from", OPT_FROM, 's', EXT_BASE, GROUP_NONE },
	{ "importance", OPT_IMPORTANCE, 's', EXT_BASE, GROUP_NONE },
	{ "options", OPT_OPTIONS, 'l', EXT_BASE, GROUP_NONE },
	{ "message", OPT_MESSAGE, 's', EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule name_options[] = {
	{ "name", OPT_NAME, 's', EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule extract_options[] = {
	{ "first", OPT_FIRST, 'n', EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule include_options[] = {
	{ "personal", OPT_PERSONAL, 0, EXT_BASE, GROUP_LOCATION },
	{ "global", OPT_GLOBAL, 0, EXT_BASE, GROUP_LOCATION },
	{ "once", OPT_ONCE, 0, EXT_BASE, GROUP_NONE },
	{ "optional", OPT_OPTIONAL, 0, EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule duplicate_options[] = {
	{ "handle", OPT_HANDLE, 's', EXT_BASE, GROUP_NONE },
	{ "header", OPT_HEADER, 's', EXT_BASE, GROUP_KEY },
	{ "uniqueid", OPT_UNIQUEID, 's', EXT_BASE, GROUP_KEY },
	{ "seconds", OPT_SECONDS, 'n', EXT_BASE, GROUP_NONE },
	{ "last", OPT_LAST, 0, EXT_BASE, GROUP_NONE },
	END,
};

static const struct sieve_option_rule specialuse_options[] = { END };

#define MATCH sieve_match_options
#define X(e) EXT_BIT(EXT_##e)

static const struct sieve_rule rules[] = {
	{ "require", OP_REQUIRE, 0, 0, "l", { NULL }, NULL, 0 },
	{ "if", OP_IF, RULE_BLOCK | RULE_ONE_TEST, 0, "", { NULL }, NULL, 0 },
	{ "elsif", OP_ELSIF, RULE_BLOCK | RULE_ONE_TEST, 0, "", { NULL }, NULL, 0 },
	{ "else", OP_ELSE, RULE_BLOCK, 0, "", { NULL }, NULL, 0 },
	{ "stop", OP_STOP, 0, 0, "", { NULL }, NULL, 0 },
	{ "keep", OP_KEEP, 0, 0, "", { flags_options }, check_flags, 0 },
	{ "discard", OP_DISCARD, 0, 0, "", { NULL }, NULL, 0 },
	{ "redirect", OP_REDIRECT, 0, 0, "s", { redirect_options }, check_redirect, 0 },
	{ "fileinto", OP_FILEINTO, 0, X(FILEINTO), "s",
	    { fileinto_options, flags_options }, check_fileinto, 0 },
	{ "reject", OP_REJECT, 0, X(REJECT), "s", { NULL }, NULL, 0 },
	{ "ereject", OP_EREJECT, 0, X(EREJECT), "s", { NULL }, NULL, 0 },
	{ "set", OP_SET, 0, X(VARIABLES), "ss", { modifier_options }, check_set, 0 },
	{ "vacation", OP_VACATION, 0, X(VACATION), "s",
	    { vacation_options, fcc_options, flags_options }, check_vacation, 0 },
	{ "setflag", OP_SETFLAG, 0, X(IMAP4FLAGS), "Sl", { NULL }, check_setflag, 0 },
	{ "addflag", OP_ADDFLAG, 0, X(IMAP4FLAGS), "Sl", { NULL }, check_setflag, 0 },
	{ "removeflag", OP_REMOVEFLAG, 0, X(IMAP4FLAGS), "Sl", { NULL }, check_setflag,
	    0 },
	{ "addheader", OP_ADDHEADER, 0, X(EDITHEADER), "ss", { last_options },
	    check_addheader, 0 },
	{ "deleteheader", OP_DELETEHEADER, 0, X(EDITHEADER), "sL",
	    { delete_options, MATCH }, check_deleteheader, 0 },
	{ "notify", OP_NOTIFY, 0, X(ENOTIFY), "s",
	    { notify_options, fcc_options, flags_options }, check_notify, 0 },
	{ "error", OP_ERROR, 0, X(IHAVE), "s", { NULL }, NULL, 0 },
	{ "foreverypart", OP_FOREVERYPART, RULE_BLOCK, X(FOREVERYPART), "",
	    { name_options }, check_foreverypart, 0 },
	{ "break", OP_BREAK, 0, X(FOREVERYPART), "", { name_options }, check_break, 0 },
	{ "extracttext", OP_EXTRACTTEXT, 0, X(EXTRACTTEXT), "s",
	    { modifier_options, extract_options }, check_extracttext, 0 },
	{ "include", OP_INCLUDE, 0, X(INCLUDE), "s", { include_options }, check_include,
	    0 },
	{ "return", OP_RETURN, 0, X(INCLUDE), "", { NULL }, NULL, 0 },
	{ "global", OP_GLOBAL, 0, X(INCLUDE), "l", { NULL }, check_global, 0 },
	/* Names of its drafts, which old scripts have. */
	{ "import", OP_GLOBAL, 0, X(INCLUDE), "l", { NULL }, check_global, 0 },
	{ "export", OP_GLOBAL, 0, X(INCLUDE), "l", { NULL }, check_global, 0 },

	{ "address", OP_ADDRESS, RULE_TEST, 0, "ll",
	    { address_options, MATCH, index_options, mime_options }, check_address, 0 },
	{ "allof", OP_ALLOF, RULE_TEST | RULE_TESTS, 0, "", { NULL }, NULL, 0 },
	{ "anyof", OP_ANYOF, RULE_TEST | RULE_TESTS, 0, "", { NULL }, NULL, 0 },
	{ "envelope", OP_ENVELOPE, RULE_TEST, X(ENVELOPE), "ll",
	    { address_options, MATCH }, check_envelope, 0 },
	{ "exists", OP_EXISTS, RULE_TEST, 0, "l", { mime_options }, check_exists, 0 },
	{ "false", OP_FALSE, RULE_TEST, 0, "", { NULL }, NULL, 0 },
	{ "header", OP_HEADER, RULE_TEST, 0, "ll",
	    { MATCH, index_options, mime_header_options }, check_header, 0 },
	{ "not", OP_NOT, RULE_TEST | RULE_ONE_TEST, 0, "", { NULL }, NULL, 0 },
	{ "size", OP_SIZE, RULE_TEST, 0, "n", { size_options }, check_size, 0 },
	{ "true", OP_TRUE, RULE_TEST, 0, "", { NULL }, NULL, 0 },
	{ "body", OP_BODY, RULE_TEST, X(BODY), "l", { body_options, MATCH }, check_body,
	    0 },
	{ "environment", OP_ENVIRONMENT, RULE_TEST, X(ENVIRONMENT), "sl", { MATCH },
	    check_keys, 0 },
	{ "string", OP_STRING, RULE_TEST, X(VARIABLES), "ll", { MATCH }, check_keys, 0 },
	{ "hasflag", OP_HASFLAG, RULE_TEST, X(IMAP4FLAGS), "Ll", { MATCH }, check_hasflag,
	    0 },
	{ "spamtest", OP_SPAMTEST, RULE_TEST, X(SPAMTEST) | X(SPAMTESTPLUS), "s",
	    { spam_options, MATCH }, check_keys, 0 },
	{ "virustest", OP_VIRUSTEST, RULE_TEST, X(VIRUSTEST), "s", { MATCH }, check_keys,
	    0 },
	{ "date", OP_DATE, RULE_TEST, X(DATE), "ssl",
	    { date_zone_options, MATCH, index_options }, check_date, 0 },
	{ "currentdate", OP_CURRENTDATE, RULE_TEST, X(DATE), "sl",
	    { zone_options, MATCH }, check_date, 0 },
	{ "valid_notify_method", OP_VALID_NOTIFY_METHOD, RULE_TEST, X(ENOTIFY), "l",
	    { NULL }, NULL, 0 },
	{ "notify_method_capability", OP_NOTIFY_METHOD_CAPABILITY, RULE_TEST, X(ENOTIFY),
	    "ssl", { MATCH }, check_keys, 0 },
	{ "ihave", OP_IHAVE, RULE_TEST, X(IHAVE), "l", { NULL }, check_ihave, 0 },
	{ "mailboxexists", OP_MAILBOXEXISTS, RULE_TEST, X(MAILBOX), "l", { NULL },
	    check_mailboxes, 0 },
	{ "specialuse_exists", OP_SPECIALUSE_EXISTS, RULE_TEST, X(SPECIAL_USE), "Sl",
	    { specialuse_options }, check_specialuse_exists, 0 },
	{ "metadata", OP_METADATA, RULE_TEST, X(MBOXMETADATA), "ssl", { MATCH },
	    check_keys, 0 },
	{ "metadataexists", OP_METADATAEXISTS, RULE_TEST, X(MBOXMETADATA), "sl", { NULL },
	    NULL, 0 },
	{ "servermetadata", OP_SERVERMETADATA, RULE_TEST, X(SERVERMETADATA), "sl",
	    { MATCH }, check_keys, 0 },
	{ "servermetadataexists", OP_SERVERMETADATAEXISTS, RULE_TEST, X(SERVERMETADATA),
	    "l", { NULL }, NULL, 0 },
	{ "duplicate", OP_DUPLICATE, RULE_TEST, X(DUPLICATE), "", { duplicate_options },
	    check_duplicate, 0 },
};

static const struct sieve_rule *
find_in(const struct sieve_rule *r, size_t n, const char *name, bool test)
{
	for (size_t i = 0; i < n && r[i].name != NULL; i++)
		if (strcmp(r[i].name, name) == 0 &&
		    ((r[i].flags & RULE_TEST) != 0) == test)
			return &r[i];
	return NULL;
}

const struct sieve_rule *
sieve_rule_find(const char *name, bool test, const struct sieve_rule *host)
{
	const struct sieve_rule *r =
	    find_in(rules, sizeof(rules) / sizeof(rules[0]), name, test);

	if (r == NULL && host != NULL)
		r = find_in(host, SIZE_MAX, name, test);
	return r;
}

const struct sieve_option *
sieve_option(const struct sieve_node *node, enum sieve_option_id id)
{
	for (const struct sieve_option *o = node->options; o != NULL; o = o->next)
		if (o->rule->id == id)
			return o;
	return NULL;
}

const struct sieve_option *
sieve_option_of(const struct sieve_node *node, enum sieve_group group)
{
	for (const struct sieve_option *o = node->options; o != NULL; o = o->next)
		if (o->rule->group == group)
			return o;
	return NULL;
}
