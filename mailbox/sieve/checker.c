/* SPDX-License-Identifier: ISC */
/*
 * The frame of the checker: commands in order, what each takes, and which parts can
 * never run. Behind a test that is known to be false nothing is held against the
 * script, for that is how ihave (RFC 5463, 4) asks for what may be missing.
 */
#include "mailbox/sieve/checker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/sieve/regex.h"

static void check_commands(struct sieve_checker *, struct sieve_node *, bool top);

/* ---- require ---- */

static void
do_require(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_arg *a = node->args;

	if (a == NULL || a->kind != ARG_STRINGS || a->next != NULL ||
	    node->tests != NULL || node->has_block) {
		sieve_report_error(&c->report, node->at,
		    "require takes one list of strings and nothing else");
		return;
	}
	for (size_t i = 0; i < a->n; i++) {
		int e = sieve_extension_find(a->v[i].s, a->v[i].len);

		if (e == -1 && c->env->host_rules != NULL &&
		    strcmp(a->v[i].s, "vnd.dovecot.testsuite") == 0)
			e = EXT_HOST;
		if (e == -1 || (c->env->without & EXT_BIT(e)) != 0)
			sieve_report_error(&c->report, a->v[i].at,
			    "unknown extension \"%.64s\"", a->v[i].s);
		else
			c->extensions |= sieve_extension_implies((enum sieve_extension)e);
	}
	c->unit->extensions |= c->extensions;
	c->program->extensions |= c->extensions;
}

/* ---- arguments ---- */

static const struct sieve_option_rule *
find_option(
    const struct sieve_checker *c, const struct sieve_rule *rule, const char *name)
{
	for (size_t i = 0; i < 5 && rule->options[i] != NULL; i++)
		for (const struct sieve_option_rule *o = rule->options[i];
		     o->name != NULL; o++)
			if (strcmp(o->name, name) == 0 &&
			    (o->ext == EXT_BASE ||
				(c->extensions & EXT_BIT(o->ext)) != 0))
				return o;
	return NULL;
}

static bool
kind_fits(const struct sieve_arg *a, char kind)
{
	switch (kind) {
	case 'n':
		return a->kind == ARG_NUMBER;
	case 's':
		return a->kind == ARG_STRINGS && !a->list;
	default:
		return a->kind == ARG_STRINGS;
	}
}

static const char *
kind_text(char kind)
{
	return kind == 'n' ? "a number" : kind == 's' ? "a string" : "a list of strings";
}

static const char *
arg_text(const struct sieve_arg *a)
{
	return a->kind == ARG_NUMBER ? "a number"
	       : a->kind == ARG_TAG  ? "a tagged argument"
	       : a->list             ? "a list of strings"
				     : "a string";
}

/* The tagged arguments that stand first; returns the first other one, or -1. */
static int
take_options(struct sieve_checker *c, struct sieve_node *node, struct sieve_arg **rest)
{
	struct sieve_option **end = &node->options, *o;
	struct sieve_arg *a = node->args;
	int r = 0;

	while (a != NULL && a->kind == ARG_TAG) {
		const struct sieve_option_rule *rule = find_option(c, node->rule, a->tag);

		if (rule == NULL) {
			sieve_report_error(&c->report, a->at, "%s does not take :%s",
			    node->name, a->tag);
			r = -1;
			a = a->next;
			continue;
		}
		for (o = node->options; o != NULL; o = o->next) {
			if (o->rule->id != rule->id &&
			    (rule->group == GROUP_NONE || o->rule->group != rule->group))
				continue;
			if (o->rule->id == rule->id)
				sieve_report_error(
				    &c->report, a->at, ":%s is given twice", a->tag);
			else
				sieve_report_error(&c->report, a->at,
				    ":%s and :%s exclude each other", o->rule->name,
				    a->tag);
			r = -1;
			break;
		}
		if ((o = arena_alloc(c->program->arena, sizeof(*o))) == NULL) {
			c->no_memory = true;
			return -1;
		}
		o->rule = rule;
		o->tag = a;
		*end = o;
		end = &o->next;
		a = a->next;
		if (rule->arg == 0)
			continue;
		if (a == NULL || !kind_fits(a, rule->arg)) {
			sieve_report_error(&c->report, a != NULL ? a->at : o->tag->at,
			    ":%s of %s needs %s, but %s was found", rule->name,
			    node->name, kind_text(rule->arg),
			    a != NULL ? arg_text(a) : "nothing");
			return -1;
		}
		o->arg = a;
		a = a->next;
	}
	*rest = a;
	return r;
}

static int
take_positional(struct sieve_checker *c, struct sieve_node *node, struct sieve_arg *a)
{
	const char *spec = node->rule->args;
	size_t given = 0, needed = 0, all = strlen(spec), k = 0;

	for (struct sieve_arg *p = a; p != NULL; p = p->next) {
		if (p->kind == ARG_TAG) {
			sieve_report_error(&c->report, p->at,
			    ":%s of %s must stand before the arguments without a tag",
			    p->tag, node->name);
			return -1;
		}
		given++;
	}
	for (size_t i = 0; i < all; i++)
		needed += spec[i] >= 'a';
	if (given != needed && given != all) {
		sieve_report_error(&c->report, node->at,
		    "%s takes %zu argument%s without a tag, but %zu %s given", node->name,
		    needed, needed == 1 ? "" : "s", given, given == 1 ? "is" : "are");
		return -1;
	}
	for (size_t i = 0; i < all && i < SIEVE_POSITIONAL_MAX; i++) {
		char kind = (char)(spec[i] | 0x20);

		if (given == needed && needed != all && spec[i] < 'a')
			continue;
		if (a == NULL)
			break;
		k++;
		if (!kind_fits(a, kind)) {
			sieve_report_error(&c->report, a->at,
			    "argument %zu of %s is to be %s, but %s was found", k,
			    node->name, kind_text(kind), arg_text(a));
			return -1;
		}
		node->positional[i] = a;
		a = a->next;
	}
	return 0;
}

static int
check_arguments(struct sieve_checker *c, struct sieve_node *node)
{
	struct sieve_arg *rest = NULL;
	size_t before = c->report.errors->n;

	for (struct sieve_arg *a = node->args; a != NULL; a = a->next)
		if (a->kind == ARG_STRINGS)
			for (size_t i = 0; i < a->n; i++)
				check_string(c, &a->v[i]);
	if (take_options(c, node, &rest) == -1 || take_positional(c, node, rest) == -1)
		return -1;
	if (c->report.errors->n != before)
		return -1;
	if (node->rule->check != NULL)
		node->rule->check(c, node);
	return 0;
}

/* ---- tests ---- */

static const struct sieve_rule *
find_rule(struct sieve_checker *c, struct sieve_node *node, bool test)
{
	const struct sieve_rule *r = sieve_rule_find(node->name, test,
	    (c->extensions & EXT_BIT(EXT_HOST)) != 0 ? c->env->host_rules : NULL);

	if (r == NULL) {
		if (sieve_rule_find(node->name, !test, c->env->host_rules) != NULL)
			sieve_report_error(&c->report, node->at,
			    "\"%s\" is a %s, not a %s", node->name,
			    test ? "command" : "test", test ? "test" : "command");
		else
			sieve_report_error(&c->report, node->at, "unknown %s \"%s\"",
			    test ? "test" : "command", node->name);
		return NULL;
	}
	if (r->ext != 0 && (r->ext & c->extensions) == 0) {
		enum sieve_extension e = EXT_BASE;

		while ((r->ext & EXT_BIT(e)) == 0)
			e++;
		sieve_report_error(&c->report, node->at,
		    "unknown %s \"%s\": require \"%s\" is missing",
		    test ? "test" : "command", node->name, sieve_extension_name(e));
		return NULL;
	}
	return r;
}

static void check_test(struct sieve_checker *, struct sieve_node *);

/* Those behind an ihave that decides are not looked at. */
static void
check_test_list(struct sieve_checker *c, struct sieve_node *node)
{
	int deciding = node->rule->op == OP_ANYOF, known = 1;
	bool decided = false;

	for (struct sieve_node *t = node->tests; t != NULL; t = t->next) {
		if (decided && node->ihave) {
			t->skip = true;
			continue;
		}
		check_test(c, t);
		if (t->constant == deciding)
			decided = true;
		else if (t->constant == -1)
			known = 0;
		node->ihave = node->ihave || t->ihave;
	}
	if (decided)
		node->constant = deciding;
	else if (known)
		node->constant = !deciding;
}

static void
check_test(struct sieve_checker *c, struct sieve_node *node)
{
	const struct sieve_rule *r = find_rule(c, node, true);

	if (r == NULL)
		return;
	node->rule = r;
	if (check_arguments(c, node) == -1)
		return;
	if ((r->flags & RULE_TESTS) != 0) {
		if (node->tests == NULL || !node->test_list)
			sieve_report_error(&c->report, node->at,
			    "%s takes a list of tests in parentheses", node->name);
		else
			check_test_list(c, node);
	} else if ((r->flags & RULE_ONE_TEST) != 0) {
		if (node->tests == NULL || node->test_list)
			sieve_report_error(
			    &c->report, node->at, "%s takes one test", node->name);
		else {
			check_test(c, node->tests);
			if (node->tests->constant != -1)
				node->constant = !node->tests->constant;
			node->ihave = node->tests->ihave;
		}
	} else if (node->tests != NULL)
		sieve_report_error(&c->report, node->at, "%s takes no tests", node->name);
	if (r->op == OP_TRUE || r->op == OP_FALSE)
		node->constant = r->op == OP_TRUE;
}

/* ---- commands ---- */

static bool
follows_if(const struct sieve_node *before)
{
	return before != NULL && before->rule != NULL &&
	       (before->rule->op == OP_IF || before->rule->op == OP_ELSIF);
}

/* The test and the block that a command has to have, or may not. */
static int
check_shape(struct sieve_checker *c, const struct sieve_node *node)
{
	unsigned int flags = node->rule->flags;
	const char *what = NULL;

	if ((flags & RULE_ONE_TEST) != 0 && (node->tests == NULL || node->test_list))
		what = "takes one test";
	else if ((flags & RULE_ONE_TEST) == 0 && node->tests != NULL)
		what = "takes no tests";
	else if ((flags & RULE_BLOCK) != 0 && !node->has_block)
		what = "needs a block";
	else if ((flags & RULE_BLOCK) == 0 && node->has_block)
		what = "takes no block";
	if (what == NULL)
		return 0;
	sieve_report_error(&c->report, node->at, "%s %s", node->name, what);
	return -1;
}

/* before: the command above, or NULL. decided: an ihave of its chain is true. */
static void
check_command(struct sieve_checker *c, struct sieve_node *node,
    const struct sieve_node *before, bool top, bool *decided)
{
	const struct sieve_rule *r;

	if (strcmp(node->name, "require") == 0) {
		if (!top || c->commands_seen)
			sieve_report_error(&c->report, node->at,
			    "require stands at the beginning of a script only");
		else
			do_require(c, node);
		return;
	}
	c->commands_seen = true;
	if ((r = find_rule(c, node, false)) == NULL)
		return;
	node->rule = r;
	if (r->op == OP_ELSIF || r->op == OP_ELSE) {
		if (!follows_if(before)) {
			sieve_report_error(&c->report, node->at,
			    "%s must follow if or elsif", node->name);
			return;
		}
	} else
		*decided = false;
	if (check_arguments(c, node) == -1 || check_shape(c, node) == -1)
		return;
	if (*decided) {
		node->skip = true;
		return;
	}
	if ((r->flags & RULE_ONE_TEST) != 0) {
		check_test(c, node->tests);
		node->constant = node->tests->constant;
		node->ihave = node->tests->ihave;
		if (node->constant == 1 && node->ihave)
			*decided = true;
	}
	if (!node->has_block)
		return;
	if (node->constant == 0 && node->ihave) {
		node->skip = true;
		return;
	}
	if (r->op == OP_FOREVERYPART)
		c->loops[c->n_loops++] = node;
	check_commands(c, node->block, false);
	if (r->op == OP_FOREVERYPART)
		c->n_loops--;
}

static void
check_commands(struct sieve_checker *c, struct sieve_node *node, bool top)
{
	const struct sieve_node *before = NULL;
	bool decided = false;

	for (; node != NULL && !c->no_memory; before = node, node = node->next)
		check_command(c, node, before, top, &decided);
}

int
sieve_check_unit(struct sieve_checker *c)
{
	check_commands(c, c->unit->commands, true);
	return c->no_memory || arena_failed(c->program->arena) ? -1 : 0;
}

/* ---- scripts ---- */

static struct sieve_unit *
unit_new(struct sieve_program *p, const char *name, enum sieve_location location)
{
	struct sieve_unit *u = arena_alloc(p->arena, sizeof(*u)), **end = &p->units;

	if (u == NULL)
		return NULL;
	u->name = arena_copy(p->arena, name, strlen(name));
	u->names =
	    arena_alloc(p->arena, (size_t)2 * SIEVE_VARIABLES_MAX * sizeof(*u->names));
	if (u->name == NULL || u->names == NULL)
		return NULL;
	u->location = location;
	u->number = p->n_units++;
	while (*end != NULL)
		end = &(*end)->next;
	*end = u;
	return u;
}

/* 0 also after errors that were told. */
static int
unit_compile(struct sieve_program *p, struct sieve_unit *u, const char *text, size_t len,
    const struct sieve_compile *env, struct sieve_errors *errors, unsigned int depth)
{
	struct sieve_checker c = { .program = p, .unit = u, .env = env };
	size_t before = errors->n;
	int r;

	c.report.errors = errors;
	c.report.script = u->name;
	c.include_depth = depth;
	u->open = true;
	if (sieve_parse(p->arena, text, len, &c.report, &u->commands) == -1)
		return -1;
	r = errors->n == before ? sieve_check_unit(&c) : 0;
	u->open = false;
	return r;
}

struct sieve_unit *
sieve_check_include(struct sieve_checker *c, struct sieve_node *node,
    enum sieve_location location, const char *name)
{
	struct sieve_unit *u;
	char *text = NULL;
	size_t len = 0, before = c->report.errors->n;
	bool optional = sieve_option(node, OPT_OPTIONAL) != NULL;
	int r;

	for (u = c->program->units; u != NULL; u = u->next) {
		if (u->location != location || strcmp(u->name, name) != 0)
			continue;
		/* Passed over as it runs when :once, and no matter yet when uploaded
		 * (RFC 6609, 3.2). */
		if (u->open && sieve_option(node, OPT_ONCE) == NULL) {
			if (c->env->upload) {
				sieve_report_warning(&c->report, node->at,
				    "script \"%s\" includes itself", name);
				return u;
			}
			sieve_report_error(
			    &c->report, node->at, "script \"%s\" includes itself", name);
			return NULL;
		}
		if (u->missing && !optional && !c->env->upload)
			break;
		return u;
	}
	if (c->include_depth >= SIEVE_INCLUDE_DEPTH_MAX) {
		sieve_report_error(
		    &c->report, node->at, "scripts include one another too deeply");
		return NULL;
	}
	if (c->program->n_units > SIEVE_INCLUDES_MAX) {
		sieve_report_error(&c->report, node->at, "too many scripts are included");
		return NULL;
	}
	r = c->env->script == NULL
		? 1
		: c->env->script(location, name, &text, &len, c->env->arg);
	if (r != 0 && !(r == 1 && (optional || c->env->upload))) {
		sieve_report_error(&c->report, node->at,
		    "script \"%s\" cannot be included: %s", name,
		    r == 1 ? "there is none of that name" : "it cannot be read now");
		return NULL;
	}
	if ((u = unit_new(c->program, name, location)) == NULL) {
		c->no_memory = true;
		free(text);
		return NULL;
	}
	if (r == 1) {
		u->missing = true;
		if (!optional)
			sieve_report_warning(
			    &c->report, node->at, "there is no script \"%s\" yet", name);
		return u;
	}
	if (unit_compile(c->program, u, text, len, c->env, c->report.errors,
		c->include_depth + 1) == -1)
		c->no_memory = true;
	free(text);
	if (c->report.errors->n != before) {
		sieve_report_error(
		    &c->report, node->at, "script \"%s\" has errors", name);
		return NULL;
	}
	return u;
}

struct sieve_program *
sieve_compile(const char *name, const char *text, size_t len,
    const struct sieve_compile *env, struct sieve_errors *errors)
{
	static const struct sieve_compile none;
	struct sieve_report r = { errors, name };
	struct sieve_program *p = calloc(1, sizeof(*p));
	struct sieve_unit *u;
	int failed = 1;

	memset(errors, 0, sizeof(*errors));
	if (p != NULL && (p->arena = arena_new(SIEVE_PROGRAM_MEMORY_MAX)) != NULL &&
	    (p->globals = arena_alloc(
		 p->arena, SIEVE_VARIABLES_MAX * sizeof(*p->globals))) != NULL &&
	    (u = unit_new(p, name, SIEVE_PERSONAL)) != NULL)
		failed =
		    unit_compile(p, u, text, len, env != NULL ? env : &none, errors, 0);
	if (failed)
		sieve_report_error(&r, (struct sieve_place){ 0, 0 },
		    "the script needs more memory than there is for it");
	if (errors->n > 0) {
		sieve_free(p);
		return NULL;
	}
	return p;
}

void
sieve_free(struct sieve_program *p)
{
	if (p == NULL)
		return;
	for (struct sieve_regex_link *l = p->regexes; l != NULL; l = l->next)
		sieve_regex_free(l->regex);
	arena_free(p->arena);
	free(p);
}
