/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_RULES_H
#define FIFE_SIEVE_RULES_H

/* Commands and tests as rows: which arguments they take, and what they become. */

#include "common/sieve/sieve_extension.h"
#include "mailbox/sieve/syntax.h"

enum sieve_op {
	OP_NONE,
	/* RFC 5228 */
	OP_REQUIRE,
	OP_IF,
	OP_ELSIF,
	OP_ELSE,
	OP_STOP,
	OP_KEEP,
	OP_DISCARD,
	OP_REDIRECT,
	OP_FILEINTO,
	OP_ADDRESS,
	OP_ALLOF,
	OP_ANYOF,
	OP_ENVELOPE,
	OP_EXISTS,
	OP_FALSE,
	OP_HEADER,
	OP_NOT,
	OP_SIZE,
	OP_TRUE,
	/* extensions */
	OP_REJECT,
	OP_EREJECT,
	OP_BODY,
	OP_ENVIRONMENT,
	OP_SET,
	OP_STRING,
	OP_VACATION,
	OP_SETFLAG,
	OP_ADDFLAG,
	OP_REMOVEFLAG,
	OP_HASFLAG,
	OP_SPAMTEST,
	OP_VIRUSTEST,
	OP_DATE,
	OP_CURRENTDATE,
	OP_ADDHEADER,
	OP_DELETEHEADER,
	OP_NOTIFY,
	OP_VALID_NOTIFY_METHOD,
	OP_NOTIFY_METHOD_CAPABILITY,
	OP_IHAVE,
	OP_ERROR,
	OP_MAILBOXEXISTS,
	OP_SPECIALUSE_EXISTS,
	OP_METADATA,
	OP_METADATAEXISTS,
	OP_SERVERMETADATA,
	OP_SERVERMETADATAEXISTS,
	OP_FOREVERYPART,
	OP_BREAK,
	OP_EXTRACTTEXT,
	OP_INCLUDE,
	OP_RETURN,
	OP_GLOBAL,
	OP_DUPLICATE,
	OP_HOST
};

/* Tagged arguments. */
enum sieve_option_id {
	OPT_COMPARATOR,
	OPT_IS,
	OPT_CONTAINS,
	OPT_MATCHES,
	OPT_REGEX,
	OPT_COUNT,
	OPT_VALUE,
	OPT_ALL,
	OPT_LOCALPART,
	OPT_DOMAIN,
	OPT_USER,
	OPT_DETAIL,
	OPT_INDEX,
	OPT_LAST,
	OPT_MIME,
	OPT_ANYCHILD,
	OPT_TYPE,
	OPT_SUBTYPE,
	OPT_CONTENTTYPE,
	OPT_PARAM,
	OPT_OVER,
	OPT_UNDER,
	OPT_COPY,
	OPT_CREATE,
	OPT_FLAGS,
	OPT_SPECIALUSE,
	OPT_FCC,
	OPT_RAW,
	OPT_CONTENT,
	OPT_TEXT,
	OPT_LOWER,
	OPT_UPPER,
	OPT_LOWERFIRST,
	OPT_UPPERFIRST,
	OPT_QUOTEWILDCARD,
	OPT_QUOTEREGEX,
	OPT_ENCODEURL,
	OPT_LENGTH,
	OPT_DAYS,
	OPT_SECONDS,
	OPT_SUBJECT,
	OPT_FROM,
	OPT_ADDRESSES,
	OPT_HANDLE,
	OPT_PERCENT,
	OPT_ZONE,
	OPT_ORIGINALZONE,
	OPT_IMPORTANCE,
	OPT_OPTIONS,
	OPT_MESSAGE,
	OPT_NAME,
	OPT_FIRST,
	OPT_PERSONAL,
	OPT_GLOBAL,
	OPT_ONCE,
	OPT_OPTIONAL,
	OPT_HEADER,
	OPT_UNIQUEID,
	OPT_HOST
};

/* Options of one group exclude one another. */
enum sieve_group {
	GROUP_NONE,
	GROUP_MATCH,
	GROUP_PART,
	GROUP_MIME_PART,
	GROUP_TRANSFORM,
	GROUP_SIZE,
	GROUP_CASE,
	GROUP_FIRST,
	GROUP_QUOTE,
	GROUP_PERIOD,
	GROUP_ZONE,
	GROUP_WHERE,
	GROUP_LOCATION,
	GROUP_KEY
};

struct sieve_option_rule {
	const char *name;
	enum sieve_option_id id;
	char arg; /* 0 none, 'n' number, 's' string, 'l' list of strings */
	enum sieve_extension ext;
	enum sieve_group group;
};

struct sieve_option {
	struct sieve_option *next;
	const struct sieve_option_rule *rule;
	struct sieve_arg *tag;
	struct sieve_arg *arg; /* NULL: takes none */
};

enum {
	RULE_TEST = 1,
	RULE_BLOCK = 2,    /* has one */
	RULE_ONE_TEST = 4, /* takes one */
	RULE_TESTS = 8     /* takes a list */
};

struct sieve_checker;

struct sieve_rule {
	const char *name;
	enum sieve_op op;
	unsigned int flags;
	uint64_t ext; /* one of these extensions is needed; 0: none */
	/*
	 * Positional arguments: n s l; in capitals those that may be missing: then the
	 * later ones move up (RFC 5232, 4: the first of two), or nothing follows.
	 */
	const char *args;
	const struct sieve_option_rule *options[5]; /* tables, each ended by no name */
	/* Further conditions; tells its errors itself. */
	void (*check)(struct sieve_checker *, struct sieve_node *);
	int host; /* the host's number */
};

const struct sieve_rule *sieve_rule_find(
    const char *name, bool test, const struct sieve_rule *host);

/* NULL: not given. */
const struct sieve_option *sieve_option(const struct sieve_node *, enum sieve_option_id);
/* The one given of a group, or NULL. */
const struct sieve_option *sieve_option_of(const struct sieve_node *, enum sieve_group);

extern const struct sieve_option_rule sieve_match_options[];
extern const struct sieve_option_rule sieve_comparator_options[];

#endif
