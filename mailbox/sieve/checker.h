/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_CHECKER_H
#define FIFE_SIEVE_CHECKER_H

/*
 * Gives every node its row of rules.h, its arguments their places, and tells what is
 * wrong (RFC 5228, 2.10.5). The check_ functions are those of the rows.
 */

#include "mailbox/sieve/program.h"
#include "mailbox/sieve/rules.h"

struct sieve_checker {
	struct sieve_program *program;
	struct sieve_unit *unit;
	struct sieve_report report;
	const struct sieve_compile *env;
	uint64_t extensions; /* required so far */
	bool commands_seen;  /* something else than require */
	struct sieve_node *loops[SIEVE_NESTING_MAX];
	unsigned int n_loops;
	unsigned int include_depth;
	bool no_memory;
};

#define CHECKER_HAS(c, e) (((c)->extensions & EXT_BIT(EXT_##e)) != 0)

/* Checks the commands of c->unit; -1: no memory. */
int sieve_check_unit(struct sieve_checker *);
/* Compile and check another script; the unit, NULL with a told error. */
struct sieve_unit *sieve_check_include(
    struct sieve_checker *, struct sieve_node *, enum sieve_location, const char *name);

/* strings.c: what stands in the string is decoded and taken apart. */
void check_string(struct sieve_checker *, struct sieve_string *);
/* An identifier of RFC 5229, 2.4, without name space. */
bool sieve_variable_name_valid(const char *, size_t);
/* The index of a variable, made when it is new; -1 when that cannot be (told). */
int check_variable(struct sieve_checker *, struct sieve_place, const char *name,
    size_t len, bool *global);
/* The same of a name as written in an argument, "global." and all. */
int check_variable_argument(
    struct sieve_checker *, struct sieve_node *, struct sieve_string *);
/* Makes a name global; told when it cannot be. */
void check_declare_global(struct sieve_checker *, struct sieve_string *);

/* check_args.c */
bool check_constant(
    struct sieve_checker *, const struct sieve_string *, const char *what);
/* Match type and comparator of a node into its members; keys may be NULL. */
void check_match(struct sieve_checker *, struct sieve_node *, struct sieve_arg *keys);
bool sieve_field_name_valid(const char *, size_t);
/* Whether every string is a field's name, where that is known. */
void check_field_names(struct sieve_checker *, const struct sieve_arg *, bool warn);
bool sieve_option_needs(struct sieve_checker *, const struct sieve_node *,
    enum sieve_option_id, enum sieve_option_id);

void check_flags(struct sieve_checker *, struct sieve_node *);
void check_redirect(struct sieve_checker *, struct sieve_node *);
void check_fileinto(struct sieve_checker *, struct sieve_node *);
void check_set(struct sieve_checker *, struct sieve_node *);
void check_vacation(struct sieve_checker *, struct sieve_node *);
void check_setflag(struct sieve_checker *, struct sieve_node *);
void check_addheader(struct sieve_checker *, struct sieve_node *);
void check_deleteheader(struct sieve_checker *, struct sieve_node *);
void check_notify(struct sieve_checker *, struct sieve_node *);
void check_foreverypart(struct sieve_checker *, struct sieve_node *);
void check_break(struct sieve_checker *, struct sieve_node *);
void check_extracttext(struct sieve_checker *, struct sieve_node *);
void check_include(struct sieve_checker *, struct sieve_node *);
void check_global(struct sieve_checker *, struct sieve_node *);
void check_address(struct sieve_checker *, struct sieve_node *);
void check_envelope(struct sieve_checker *, struct sieve_node *);
void check_exists(struct sieve_checker *, struct sieve_node *);
void check_header(struct sieve_checker *, struct sieve_node *);
void check_size(struct sieve_checker *, struct sieve_node *);
void check_body(struct sieve_checker *, struct sieve_node *);
void check_keys(struct sieve_checker *, struct sieve_node *);
void check_hasflag(struct sieve_checker *, struct sieve_node *);
void check_date(struct sieve_checker *, struct sieve_node *);
void check_ihave(struct sieve_checker *, struct sieve_node *);
void check_mailboxes(struct sieve_checker *, struct sieve_node *);
void check_specialuse_exists(struct sieve_checker *, struct sieve_node *);
void check_duplicate(struct sieve_checker *, struct sieve_node *);

#endif
