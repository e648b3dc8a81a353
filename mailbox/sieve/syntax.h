/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_SYNTAX_H
#define FIFE_SIEVE_SYNTAX_H

/*
 * A script as a tree (RFC 5228, 8.2): commands with arguments, tests and blocks. The
 * parser fills the upper half of a node, the checker (checker.h) the lower one.
 * All of it lives in the program's arena.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/sieve/arena.h"
#include "mailbox/sieve/sieve.h"

struct sieve_place {
	uint32_t line, column;
};

/* What a string with variables is put together of (RFC 5229, 3). */
enum sieve_piece_kind {
	PIECE_TEXT,
	PIECE_LOCAL,
	PIECE_GLOBAL,
	PIECE_MATCH, /* ${1} */
	PIECE_ENVIRONMENT
};

struct sieve_piece {
	enum sieve_piece_kind kind;
	uint16_t index;
	const char *s;
	size_t len;
};

struct sieve_string {
	const char *s; /* with a NUL behind it; may hold others */
	size_t len;
	struct sieve_place at;
	struct sieve_piece *pieces; /* NULL: constant */
	size_t n_pieces;
	void *regex; /* compiled, of a constant */
};

enum sieve_arg_kind {
	ARG_NUMBER,
	ARG_TAG,
	ARG_STRINGS
};

struct sieve_arg {
	struct sieve_arg *next;
	enum sieve_arg_kind kind;
	struct sieve_place at;
	bool list; /* ARG_STRINGS: written in brackets */
	uint64_t number;
	const char *tag; /* lower case, without its colon */
	struct sieve_string *v;
	size_t n;
};

struct sieve_option;
struct sieve_unit;

#define SIEVE_POSITIONAL_MAX 4

struct sieve_node {
	struct sieve_node *next; /* in the block, or in the list of tests */
	struct sieve_place at;
	const char *name; /* lower case */
	struct sieve_arg *args;
	struct sieve_node *tests;
	bool test_list; /* written in parentheses */
	bool has_block;
	struct sieve_node *block;

	const struct sieve_rule *rule;
	struct sieve_arg *positional[SIEVE_POSITIONAL_MAX];
	struct sieve_option *options;
	int constant;         /* 0 or 1 when that is known of a test, else -1 */
	bool ihave;           /* it is constant by an ihave, RFC 5463 */
	bool skip;            /* never run: behind what is constant */
	uint16_t scope_index; /* of the variable that is set */
	bool scope_global;
	struct sieve_unit *unit; /* include */
	struct sieve_node *loop; /* break: which loop it leaves */
	/* of what has a match type; enums of matching.h */
	uint8_t match, comparator, relation;
};

/* ---- lexer ---- */

enum sieve_token {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_TAG,
	TOKEN_NUMBER,
	TOKEN_STRING,
	TOKEN_MARK, /* one of []{}(),; in c */
	TOKEN_BAD   /* text says why; the lexer stands behind it */
};

struct sieve_lexer {
	const char *s;
	size_t len, pos;
	uint32_t line;
	size_t line_start;
	struct arena *arena;
	/* the token */
	enum sieve_token token;
	struct sieve_place at;
	char c;
	uint64_t number;
	const char *text; /* name and tag in lower case, or string */
	size_t text_len;
	char error[128];
};
void sieve_lexer_init(struct sieve_lexer *, struct arena *, const char *, size_t);
/* Reads the next token; -1: no memory. */
int sieve_lexer_next(struct sieve_lexer *);

/* ---- parser ---- */

/* Where errors are told. */
struct sieve_report {
	struct sieve_errors *errors;
	const char *script;
};
void sieve_report_error(struct sieve_report *, struct sieve_place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sieve_report_warning(struct sieve_report *, struct sieve_place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The commands at the top, also after errors, which are told. NULL may be an
 * empty script; -1: no memory. */
int sieve_parse(struct arena *, const char *text, size_t len, struct sieve_report *,
    struct sieve_node **);

#endif
