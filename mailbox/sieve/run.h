/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_RUN_H
#define FIFE_SIEVE_RUN_H

/* The state of one run of a program, for the modules that carry out its nodes. */

#include "common/proto/mime.h"
#include "mailbox/sieve/addresses.h"
#include "mailbox/sieve/matching.h"
#include "mailbox/sieve/program.h"
#include "mailbox/sieve/rules.h"

#define SIEVE_FIELDS_MAX 20000
#define SIEVE_FIELD_VALUE_MAX (64 * 1024) /* octets looked at of one field */
#define SIEVE_TEXT_MAX (8u * 1024 * 1024) /* octets of a part's text */

/* A field of the header, as it stands after the edits so far. */
struct sieve_field {
	const char *name;
	size_t name_len;
	const char *value; /* folds kept, no last line end */
	size_t value_len;
	const char *raw; /* the whole of it, with its line end */
	size_t raw_len;
	bool added;
};

struct sieve_variable {
	char *s;
	size_t len, cap;
};

struct sieve_frame {
	struct sieve_frame *up;
	struct sieve_unit *unit;
	struct sieve_variable *locals; /* SIEVE_VARIABLES_MAX */
	char *matched;                 /* what the match variables borrow */
	struct sieve_matches matches;
};

enum sieve_flow {
	FLOW_NEXT,
	FLOW_STOP,
	FLOW_RETURN,
	FLOW_BREAK,
	FLOW_FAIL
};

struct sieve_run {
	struct sieve_program *program;
	const struct sieve_input *in;
	struct sieve_result *out;
	struct arena *keep;    /* lives with the result */
	struct arena *scratch; /* until the end of a command or test */
	uint32_t steps;
	struct sieve_frame *frame;
	struct sieve_variable *globals;
	struct sieve_variable flags; /* RFC 5232, 2: the internal variable */
	unsigned int depth;
	bool *included; /* by number of the unit: for :once */

	struct sieve_field *fields;
	size_t n_fields, fields_cap;
	bool edited;
	size_t body_off; /* of in->data */
	struct mime_tree *tree;
	int part; /* of the innermost foreverypart, or -1 */
	struct sieve_node *breaking;
	bool vacated; /* by a vacation, which may have answered or not */
	unsigned int redirects;
	int64_t regex_ns;              /* time that expressions took */
	const struct sieve_node *node; /* for the place of a failure */
};

/* Ends the run: the sentence is kept; returns -1. */
int sieve_fail(struct sieve_run *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int sieve_fail_memory(struct sieve_run *);
/* Work done; -1 when there was too much. */
int sieve_spend(struct sieve_run *, uint64_t);
void sieve_note(struct sieve_run *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- run.c ---- */
int sieve_test(struct sieve_run *, struct sieve_node *); /* 1, 0, -1: failed */
enum sieve_flow sieve_commands(struct sieve_run *, struct sieve_node *);

/* ---- values.c ---- */
/* With variables put in; in the scratch or the program. */
int sieve_expand(struct sieve_run *, const struct sieve_string *, struct sieve_value *);
/* The value of an option's string; false: the option is not given. -1: failed. */
int sieve_option_value(struct sieve_run *, const struct sieve_node *,
    enum sieve_option_id, struct sieve_value *);
int sieve_variable_set(struct sieve_run *, struct sieve_variable *, const char *, size_t);
struct sieve_variable *sieve_node_variable(struct sieve_run *, const struct sieve_node *);
/* A variable by a name known at run time only; NULL: there is none. */
struct sieve_variable *sieve_named_variable(
    struct sieve_run *, const char *name, size_t len);
int sieve_do_set(struct sieve_run *, struct sieve_node *);
/* The modifiers of set and extracttext, in their order. */
int sieve_modify(struct sieve_run *, const struct sieve_node *, struct sieve_value *);

/* ---- keys.c: values against keys ---- */
struct sieve_match {
	struct sieve_run *run;
	const struct sieve_node *node;
	struct sieve_value *keys;
	void **regexes; /* NULL: not yet; those of variables are freed at the end */
	size_t n;
	const struct sieve_arg *arg;
	uint64_t count;
	bool silent; /* no match variables: body */
};
int sieve_match_begin(struct sieve_run *, const struct sieve_node *,
    const struct sieve_arg *keys, struct sieve_match *);
/* One more value: 1 it matches, 0, -1. With :count it is counted. */
int sieve_match_value(struct sieve_match *, const struct sieve_value *);
/* r: what the last value gave. */
int sieve_match_end(struct sieve_match *, int r);

/* ---- mailmsg.c: the message ---- */
int sieve_message_open(struct sieve_run *);
/* The input has another message from now on; for hosts. */
int sieve_message_again(struct sieve_run *);
/* Field's value without folds, trimmed; decoded: RFC 2047 as well. */
int sieve_field_text(
    struct sieve_run *, const struct sieve_field *, bool decoded, struct sieve_value *);
/* The fields of a part; those of the message (part 0) as they stand. */
int sieve_part_fields(
    struct sieve_run *, int part, struct sieve_field **fields, size_t *n);
int sieve_tree(struct sieve_run *); /* 0: run->tree is there */
/* A part as UTF-8 text; html: its text only. Cut at SIEVE_TEXT_MAX. */
int sieve_part_text(struct sieve_run *, int part, bool html, struct sieve_value *);
/* The header as it is now, for what is kept: NULL in *s when it was not edited. */
int sieve_header_now(struct sieve_run *, struct sieve_value *);
uint64_t sieve_header_size(const struct sieve_run *); /* with the empty line */
int sieve_do_addheader(struct sieve_run *, struct sieve_node *);
int sieve_do_deleteheader(struct sieve_run *, struct sieve_node *);

/* ---- tests ---- */
int sieve_test_header(struct sieve_run *, struct sieve_node *);
int sieve_test_address(struct sieve_run *, struct sieve_node *);
int sieve_test_exists(struct sieve_run *, struct sieve_node *);
int sieve_test_envelope(struct sieve_run *, struct sieve_node *);
int sieve_test_size(struct sieve_run *, struct sieve_node *);
int sieve_test_body(struct sieve_run *, struct sieve_node *);
int sieve_test_date(struct sieve_run *, struct sieve_node *);
int sieve_test_other(struct sieve_run *, struct sieve_node *);
/* An item of the environment (RFC 5183, 4.1); false: not known. */
bool sieve_environment(struct sieve_run *, const char *, size_t, struct sieve_value *);
/* Fields that :index and :last leave, over all names. */
struct sieve_field_list {
	struct sieve_field *v;
	size_t n;
};
int sieve_collect_fields(struct sieve_run *, const struct sieve_node *,
    const struct sieve_arg *names, struct sieve_field_list *);

/* ---- flags.c (RFC 5232) ---- */
int sieve_do_flags(struct sieve_run *, struct sieve_node *);
int sieve_test_hasflag(struct sieve_run *, struct sieve_node *);
/* Of :flags, or of the internal variable. */
int sieve_action_flags(
    struct sieve_run *, const struct sieve_node *, struct sieve_action *);

/* ---- actions.c ---- */
int sieve_do_action(struct sieve_run *, struct sieve_node *);
void sieve_implicit_keep(struct sieve_run *);
/* A new action, or NULL (failed). */
struct sieve_action *sieve_action_new(
    struct sieve_run *, enum sieve_action_kind, const struct sieve_node *);
/* A value that lives with the result, NUL behind it; NULL (failed). */
const char *sieve_keep_value(struct sieve_run *, const struct sieve_value *);
int sieve_do_vacation(struct sieve_run *, struct sieve_node *);
int sieve_do_notify(struct sieve_run *, struct sieve_node *);
/* The copy of a reply (RFC 8580). */
int sieve_add_fcc(struct sieve_run *, struct sieve_node *, const char *, size_t);

#endif
