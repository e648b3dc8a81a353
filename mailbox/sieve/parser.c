/* SPDX-License-Identifier: ISC */
/*
 * The parser (RFC 5228, 8.2). It knows no commands. After an error it goes on behind
 * the next semicolon or block, so that one run tells all of them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/sieve/syntax.h"

#define ARGS_MAX 100
#define STRINGS_LIST_MAX 20000

struct parser {
	struct sieve_lexer lex;
	struct arena *arena;
	struct sieve_report *report;
	size_t strings;
	int no_memory;
};

static void
report(struct sieve_report *r, struct sieve_place at, bool warning, const char *fmt,
    va_list ap)
{
	struct sieve_errors *e = r->errors;
	struct sieve_error *p;

	if (!warning)
		e->n++;
	if (e->kept == SIEVE_ERRORS_MAX)
		return;
	p = &e->v[e->kept++];
	p->line = at.line;
	p->column = at.column;
	p->warning = warning;
	strlcpy(p->script, r->script, sizeof(p->script));
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
}

void
sieve_report_error(struct sieve_report *r, struct sieve_place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(r, at, false, fmt, ap);
	va_end(ap);
}

void
sieve_report_warning(struct sieve_report *r, struct sieve_place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(r, at, true, fmt, ap);
	va_end(ap);
}

void
sieve_errors_print(const struct sieve_errors *e, char *out, size_t cap)
{
	for (size_t i = 0; i < e->kept; i++) {
		if (e->v[i].warning)
			continue;
		snprintf(out, cap, "%s: line %u, column %u: %s", e->v[i].script,
		    e->v[i].line, e->v[i].column, e->v[i].text);
		return;
	}
	strlcpy(out, "no error", cap);
}

static void
next(struct parser *p)
{
	if (sieve_lexer_next(&p->lex) == -1) {
		p->no_memory = 1;
		p->lex.token = TOKEN_END;
	}
}

static bool
at_mark(const struct parser *p, char c)
{
	return p->lex.token == TOKEN_MARK && p->lex.c == c;
}

static void *
make(struct parser *p, size_t size)
{
	void *m = arena_alloc(p->arena, size);

	if (m == NULL)
		p->no_memory = 1;
	return m;
}

static const char *
token_name(const struct parser *p, char *buf, size_t cap)
{
	switch (p->lex.token) {
	case TOKEN_END:
		return "the end of the script";
	case TOKEN_NAME:
		snprintf(buf, cap, "\"%s\"", p->lex.text);
		break;
	case TOKEN_TAG:
		snprintf(buf, cap, "\":%s\"", p->lex.text);
		break;
	case TOKEN_NUMBER:
		return "a number";
	case TOKEN_STRING:
		return "a string";
	case TOKEN_MARK:
		snprintf(buf, cap, "'%c'", p->lex.c);
		break;
	default:
		return p->lex.error;
	}
	return buf;
}

static int
unexpected(struct parser *p, const char *wanted)
{
	char buf[48];

	if (p->no_memory)
		return -1;
	if (p->lex.token == TOKEN_BAD)
		sieve_report_error(p->report, p->lex.at, "%s", p->lex.error);
	else
		sieve_report_error(p->report, p->lex.at, "expected %s, but found %s",
		    wanted, token_name(p, buf, sizeof(buf)));
	return -1;
}

static struct sieve_string *
add_string(struct parser *p, struct sieve_arg *a, size_t *cap)
{
	struct sieve_string *v;

	if (a->n >= STRINGS_LIST_MAX || ++p->strings > SIEVE_STRINGS_MAX) {
		sieve_report_error(p->report, p->lex.at, "too many strings");
		return NULL;
	}
	if (a->n == *cap) {
		*cap = *cap == 0 ? 1 : *cap * 2;
		if ((v = make(p, *cap * sizeof(*v))) == NULL)
			return NULL;
		if (a->n > 0)
			memcpy(v, a->v, a->n * sizeof(*v));
		a->v = v;
	}
	v = &a->v[a->n++];
	v->s = p->lex.text;
	v->len = p->lex.text_len;
	v->at = p->lex.at;
	return v;
}

static int
parse_list(struct parser *p, struct sieve_arg *a)
{
	size_t cap = 0;

	a->list = true;
	next(p);
	for (;;) {
		if (p->lex.token != TOKEN_STRING)
			return unexpected(p, "a string in the list");
		if (add_string(p, a, &cap) == NULL)
			return -1;
		next(p);
		if (at_mark(p, ']'))
			break;
		if (!at_mark(p, ','))
			return unexpected(p, "',' or ']' in the list of strings");
		next(p);
	}
	next(p);
	return 0;
}

static int
parse_args(struct parser *p, struct sieve_node *node)
{
	struct sieve_arg **end = &node->args, *a;
	size_t n = 0, cap;

	for (;;) {
		enum sieve_token t = p->lex.token;

		if (t != TOKEN_NUMBER && t != TOKEN_TAG && t != TOKEN_STRING &&
		    !at_mark(p, '['))
			return 0;
		if (++n > ARGS_MAX) {
			sieve_report_error(p->report, p->lex.at, "too many arguments");
			return -1;
		}
		if ((a = make(p, sizeof(*a))) == NULL)
			return -1;
		a->at = p->lex.at;
		*end = a;
		end = &a->next;
		if (t == TOKEN_NUMBER) {
			a->kind = ARG_NUMBER;
			a->number = p->lex.number;
		} else if (t == TOKEN_TAG) {
			a->kind = ARG_TAG;
			a->tag = p->lex.text;
		} else {
			a->kind = ARG_STRINGS;
			cap = 0;
			if (t == TOKEN_MARK) {
				if (parse_list(p, a) == -1)
					return -1;
				continue;
			}
			if (add_string(p, a, &cap) == NULL)
				return -1;
		}
		next(p);
	}
}

static int parse_tests(struct parser *, struct sieve_node *, unsigned int depth);

static struct sieve_node *
parse_head(struct parser *p, unsigned int depth)
{
	struct sieve_node *node = make(p, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->at = p->lex.at;
	node->name = p->lex.text;
	node->constant = -1;
	next(p);
	if (parse_args(p, node) == -1 || parse_tests(p, node, depth) == -1)
		return NULL;
	return node;
}

/* arguments = *argument [ test / test-list ] */
static int
parse_tests(struct parser *p, struct sieve_node *node, unsigned int depth)
{
	struct sieve_node **end = &node->tests;

	if (p->lex.token != TOKEN_NAME && !at_mark(p, '('))
		return 0;
	if (depth >= SIEVE_NESTING_MAX) {
		sieve_report_error(p->report, p->lex.at, "tests are nested too deeply");
		return -1;
	}
	if (p->lex.token == TOKEN_NAME) {
		*end = parse_head(p, depth + 1);
		return *end == NULL ? -1 : 0;
	}
	node->test_list = true;
	next(p);
	for (;;) {
		if (p->lex.token != TOKEN_NAME)
			return unexpected(p, "a test");
		if ((*end = parse_head(p, depth + 1)) == NULL)
			return -1;
		end = &(*end)->next;
		if (at_mark(p, ')'))
			break;
		if (!at_mark(p, ','))
			return unexpected(p, "',' or ')' in the list of tests");
		next(p);
	}
	next(p);
	return 0;
}

/* To behind the next semicolon or block of this level, or before its brace. */
static void
recover(struct parser *p)
{
	unsigned int depth = 0;

	while (p->lex.token != TOKEN_END) {
		if (at_mark(p, '{'))
			depth++;
		else if (at_mark(p, '}')) {
			if (depth == 0)
				return;
			if (--depth == 0) {
				next(p);
				return;
			}
		} else if (at_mark(p, ';') && depth == 0) {
			next(p);
			return;
		}
		next(p);
	}
}

static void parse_commands(
    struct parser *, struct sieve_node **, unsigned int depth, bool top);

static int
parse_command(struct parser *p, struct sieve_node **out, unsigned int depth)
{
	struct sieve_node *node;
	struct sieve_place at;

	if (p->lex.token != TOKEN_NAME)
		return unexpected(p, "a command");
	if ((node = parse_head(p, 0)) == NULL)
		return -1;
	if (at_mark(p, ';')) {
		next(p);
		*out = node;
		return 0;
	}
	if (!at_mark(p, '{')) {
		unexpected(p, node->tests != NULL ? "a block" : "';' or a block");
		/* Its arguments are told of as well. */
		return -1;
	}
	at = p->lex.at;
	node->has_block = true;
	if (depth >= SIEVE_NESTING_MAX) {
		sieve_report_error(p->report, at, "blocks are nested too deeply");
		return -1;
	}
	next(p);
	parse_commands(p, &node->block, depth + 1, false);
	*out = node;
	if (!at_mark(p, '}')) {
		if (!p->no_memory)
			sieve_report_error(p->report, p->lex.at,
			    "the block that starts in line %u is not closed", at.line);
		return -1;
	}
	next(p);
	return 0;
}

static void
parse_commands(struct parser *p, struct sieve_node **end, unsigned int depth, bool top)
{
	while (p->lex.token != TOKEN_END && !p->no_memory) {
		if (at_mark(p, '}')) {
			if (!top)
				return;
			unexpected(p, "a command");
			next(p);
			continue;
		}
		if (parse_command(p, end, depth) == -1)
			recover(p);
		if (*end != NULL)
			end = &(*end)->next;
	}
}

int
sieve_parse(struct arena *arena, const char *text, size_t len, struct sieve_report *r,
    struct sieve_node **out)
{
	struct parser p = { .arena = arena, .report = r };

	*out = NULL;
	if (len > SIEVE_SCRIPT_MAX) {
		sieve_report_error(r, (struct sieve_place){ 0, 0 },
		    "the script has more than %d octets", SIEVE_SCRIPT_MAX);
		return 0;
	}
	sieve_lexer_init(&p.lex, arena, text, len);
	next(&p);
	parse_commands(&p, out, 0, true);
	return p.no_memory ? -1 : 0;
}
