/* SPDX-License-Identifier: ISC */
/* Runs a program: control commands and tests that join others; see run.h. */
#include "mailbox/sieve/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

int
sieve_fail(struct sieve_run *run, const char *fmt, ...)
{
	struct sieve_result *out = run->out;
	va_list ap;
	int n = 0;

	if (out->status == SIEVE_FAILED)
		return -1;
	out->status = SIEVE_FAILED;
	if (run->node != NULL)
		n = snprintf(out->error, sizeof(out->error),
		    "%s: line %u: ", run->frame->unit->name, run->node->at.line);
	va_start(ap, fmt);
	vsnprintf(out->error + n, sizeof(out->error) - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

int
sieve_fail_memory(struct sieve_run *run)
{
	return sieve_fail(run, "the script needs more memory than it may have");
}

int
sieve_spend(struct sieve_run *run, uint64_t n)
{
	if (n > run->steps) {
		run->steps = 0;
		return sieve_fail(run, "the script does more work than it may");
	}
	run->steps -= (uint32_t)n;
	return 0;
}

void
sieve_note(struct sieve_run *run, const char *fmt, ...)
{
	char *notes = run->out->notes;
	size_t n = strlen(notes), cap = sizeof(run->out->notes);
	va_list ap;

	if (n > 0 && n + 2 < cap)
		n += strlcpy(notes + n, "; ", cap - n);
	va_start(ap, fmt);
	vsnprintf(notes + n, cap - n, fmt, ap);
	va_end(ap);
}

/* ---- tests ---- */

static int
test_list(struct sieve_run *run, struct sieve_node *node)
{
	bool any = node->rule->op == OP_ANYOF;

	for (struct sieve_node *t = node->tests; t != NULL && !t->skip; t = t->next) {
		int r = sieve_test(run, t);

		if (r == -1)
			return -1;
		if ((r == 1) == any)
			return any;
	}
	return !any;
}

int
sieve_test(struct sieve_run *run, struct sieve_node *node)
{
	struct arena_mark mark;
	int r;

	run->node = node;
	if (sieve_spend(run, 1) == -1)
		return -1;
	if (node->constant != -1)
		return node->constant;
	mark = arena_mark(run->scratch);
	switch (node->rule->op) {
	case OP_ALLOF:
	case OP_ANYOF:
		r = test_list(run, node);
		break;
	case OP_NOT:
		r = sieve_test(run, node->tests);
		if (r != -1)
			r = !r;
		break;
	case OP_HEADER:
		r = sieve_test_header(run, node);
		break;
	case OP_ADDRESS:
		r = sieve_test_address(run, node);
		break;
	case OP_EXISTS:
		r = sieve_test_exists(run, node);
		break;
	case OP_ENVELOPE:
		r = sieve_test_envelope(run, node);
		break;
	case OP_SIZE:
		r = sieve_test_size(run, node);
		break;
	case OP_BODY:
		r = sieve_test_body(run, node);
		break;
	case OP_DATE:
	case OP_CURRENTDATE:
		r = sieve_test_date(run, node);
		break;
	case OP_HASFLAG:
		r = sieve_test_hasflag(run, node);
		break;
	case OP_HOST:
		r = run->in->host_run != NULL ? run->in->host_run(run, node, run->in->arg)
					      : sieve_fail(run, "no host");
		break;
	default:
		r = sieve_test_other(run, node);
		break;
	}
	arena_release(run->scratch, mark);
	return r;
}

/* ---- control ---- */

static int
do_error(struct sieve_run *run, const struct sieve_node *node)
{
	struct sieve_value v;

	if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1)
		return -1;
	return sieve_fail(run, "%.*s", (int)(v.len > 200 ? 200 : v.len), v.s);
}

/* RFC 6609, 3.1: variables of its own, but the same message, flags and actions. */
static enum sieve_flow
do_include(struct sieve_run *run, const struct sieve_node *node)
{
	struct sieve_unit *u = node->unit;
	struct sieve_frame frame = { .up = run->frame, .unit = u };
	enum sieve_flow flow;
	int part = run->part;

	if (u == NULL || u->missing) {
		if (sieve_option(node, OPT_OPTIONAL) != NULL)
			return FLOW_NEXT;
		sieve_fail(run, "the script \"%s\" to include is missing",
		    u != NULL ? u->name : "");
		return FLOW_FAIL;
	}
	if (sieve_option(node, OPT_ONCE) != NULL && run->included[u->number])
		return FLOW_NEXT;
	for (const struct sieve_frame *up = run->frame; up != NULL; up = up->up)
		if (up->unit == u) {
			sieve_fail(run, "the script \"%s\" includes itself", u->name);
			return FLOW_FAIL;
		}
	if (run->depth >= SIEVE_INCLUDE_DEPTH_MAX) {
		sieve_fail(run, "scripts include one another too deeply");
		return FLOW_FAIL;
	}
	frame.locals = calloc(SIEVE_VARIABLES_MAX, sizeof(*frame.locals));
	if (frame.locals == NULL) {
		sieve_fail_memory(run);
		return FLOW_FAIL;
	}
	run->included[u->number] = true;
	run->frame = &frame;
	run->depth++;
	run->part = -1;
	flow = sieve_commands(run, u->commands);
	run->part = part;
	run->depth--;
	run->frame = frame.up;
	for (size_t i = 0; i < SIEVE_VARIABLES_MAX; i++)
		free(frame.locals[i].s);
	free(frame.locals);
	free(frame.matched);
	return flow == FLOW_RETURN ? FLOW_NEXT : flow;
}

/* All parts below and including the current one, depth first (RFC 5703, 3). */
static enum sieve_flow
do_foreverypart(struct sieve_run *run, struct sieve_node *node)
{
	int outer = run->part, top, p;
	enum sieve_flow flow = FLOW_NEXT;

	if (sieve_tree(run) == -1)
		return FLOW_FAIL;
	top = outer == -1 ? 0 : outer;
	/* Within a loop: what is below the part, not the part again. */
	p = outer == -1 ? 0 : run->tree->parts[top].child;
	while (p != -1) {
		if (sieve_spend(run, 1) == -1) {
			flow = FLOW_FAIL;
			break;
		}
		run->part = p;
		flow = sieve_commands(run, node->block);
		if (flow == FLOW_BREAK && run->breaking == node) {
			flow = FLOW_NEXT;
			break;
		}
		if (flow != FLOW_NEXT)
			break;
		if (run->tree->parts[p].child != -1) {
			p = run->tree->parts[p].child;
			continue;
		}
		while (p != -1 && p != top && run->tree->parts[p].next == -1)
			p = run->tree->parts[p].parent;
		p = p == -1 || p == top ? -1 : run->tree->parts[p].next;
	}
	run->part = outer;
	return flow;
}

static enum sieve_flow
do_command(struct sieve_run *run, struct sieve_node *node)
{
	int r;

	switch (node->rule->op) {
	case OP_STOP:
		return FLOW_STOP;
	case OP_RETURN:
		return FLOW_RETURN;
	case OP_BREAK:
		run->breaking = node->loop;
		return FLOW_BREAK;
	case OP_INCLUDE:
		return do_include(run, node);
	case OP_FOREVERYPART:
		return do_foreverypart(run, node);
	case OP_GLOBAL:
		return FLOW_NEXT;
	case OP_ERROR:
		r = do_error(run, node);
		break;
	case OP_SET:
	case OP_EXTRACTTEXT:
		r = sieve_do_set(run, node);
		break;
	case OP_SETFLAG:
	case OP_ADDFLAG:
	case OP_REMOVEFLAG:
		r = sieve_do_flags(run, node);
		break;
	case OP_ADDHEADER:
		r = sieve_do_addheader(run, node);
		break;
	case OP_DELETEHEADER:
		r = sieve_do_deleteheader(run, node);
		break;
	case OP_HOST:
		/* A block of the host's is its own to run. */
		r = run->in->host_run != NULL ? run->in->host_run(run, node, run->in->arg)
					      : sieve_fail(run, "no host");
		if (r == 2)
			return FLOW_STOP;
		break;
	default:
		r = sieve_do_action(run, node);
		break;
	}
	return r == -1 ? FLOW_FAIL : FLOW_NEXT;
}

enum sieve_flow
sieve_commands(struct sieve_run *run, struct sieve_node *node)
{
	bool taken = false;

	for (; node != NULL; node = node->next) {
		enum sieve_flow flow;
		struct arena_mark mark;
		enum sieve_op op;
		int r = 1;

		if (node->rule == NULL)
			continue; /* require */
		op = node->rule->op;
		run->node = node;
		if (sieve_spend(run, 1) == -1)
			return FLOW_FAIL;
		if (op == OP_IF || op == OP_ELSIF || op == OP_ELSE) {
			if (op == OP_IF)
				taken = false;
			else if (taken || node->skip)
				continue;
			if (op != OP_ELSE && (r = sieve_test(run, node->tests)) == -1)
				return FLOW_FAIL;
			if (r == 0)
				continue;
			taken = true;
			flow = sieve_commands(run, node->block);
		} else {
			mark = arena_mark(run->scratch);
			flow = do_command(run, node);
			arena_release(run->scratch, mark);
		}
		if (flow != FLOW_NEXT)
			return flow;
	}
	return FLOW_NEXT;
}

/* ---- the whole ---- */

/* After a failure nothing counts but that the message is kept (RFC 5228, 2.10.6). */
static void
fall_back(struct sieve_run *run)
{
	static const struct sieve_action keep = {
		.kind = SIEVE_KEEP, .implicit = true, .mailbox = "INBOX", .keywords = ""
	};

	run->out->n = 0;
	run->out->n_marks = 0;
	run->out->cancelled = false;
	run->out->v[run->out->n++] = keep;
}

void
sieve_run(
    struct sieve_program *program, const struct sieve_input *in, struct sieve_result *out)
{
	struct sieve_run run = { .program = program, .in = in, .out = out, .part = -1 };
	struct sieve_frame frame = { .unit = program->units };
	enum sieve_flow flow = FLOW_FAIL;

	memset(out, 0, sizeof(*out));
	run.steps = in->steps_max != 0 ? in->steps_max : SIEVE_STEPS_MAX;
	run.frame = &frame;
	run.keep = arena_new(SIEVE_RUN_MEMORY_MAX);
	run.scratch = arena_new(SIEVE_RUN_MEMORY_MAX);
	frame.locals = calloc(SIEVE_VARIABLES_MAX, sizeof(*frame.locals));
	run.globals = calloc(SIEVE_VARIABLES_MAX, sizeof(*run.globals));
	run.included = calloc(program->n_units + 1, sizeof(*run.included));
	out->memory = run.keep;
	if (run.keep == NULL || run.scratch == NULL || frame.locals == NULL ||
	    run.globals == NULL || run.included == NULL || sieve_message_open(&run) == -1)
		(void)sieve_fail_memory(&run);
	else {
		run.included[frame.unit->number] = true;
		flow = sieve_commands(&run, frame.unit->commands);
	}
	out->body_off = run.body_off;
	if (flow != FLOW_FAIL && !out->cancelled)
		sieve_implicit_keep(&run);
	if (flow == FLOW_FAIL || out->status == SIEVE_FAILED)
		fall_back(&run);
	for (size_t i = 0; frame.locals != NULL && i < SIEVE_VARIABLES_MAX; i++)
		free(frame.locals[i].s);
	for (size_t i = 0; run.globals != NULL && i < SIEVE_VARIABLES_MAX; i++)
		free(run.globals[i].s);
	free(frame.locals);
	free(run.globals);
	free(run.included);
	free(frame.matched);
	free(run.flags.s);
	free(run.fields);
	mime_free(run.tree);
	arena_free(run.scratch);
}

void
sieve_result_clear(struct sieve_result *out)
{
	arena_free(out->memory);
	memset(out, 0, sizeof(*out));
}
