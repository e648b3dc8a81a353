/* SPDX-License-Identifier: ISC */
/* Tests that ask for something else than the message. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/mailto.h"
#include "mailbox/sieve/run.h"

#define DUPLICATE_SECONDS (7 * 86400)
#define DUPLICATE_SECONDS_MAX (60 * 86400)

/* ---- string (RFC 5229, 5) ---- */

static int
test_string(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_arg *source = node->positional[0];
	struct sieve_match m;
	int r = 0;

	if (sieve_match_begin(run, node, node->positional[1], &m) == -1)
		return -1;
	for (size_t i = 0; i < source->n && r == 0; i++) {
		struct sieve_value v;

		r = sieve_expand(run, &source->v[i], &v);
		/* Empty ones do not count. */
		if (r == 0 && (v.len > 0 || node->match != MATCH_COUNT))
			r = sieve_match_value(&m, &v);
	}
	return sieve_match_end(&m, r);
}

/* ---- environment (RFC 5183) ---- */

bool
sieve_environment(
    struct sieve_run *run, const char *name, size_t len, struct sieve_value *out)
{
	const struct sieve_input *in = run->in;
	const char *s = NULL, *dot;

	if (ascii_equal(name, len, "host"))
		s = in->hostname;
	else if (ascii_equal(name, len, "domain"))
		s = in->hostname != NULL && (dot = strchr(in->hostname, '.')) != NULL
			? dot + 1
			: in->hostname;
	else if (ascii_equal(name, len, "location"))
		s = "MDA";
	else if (ascii_equal(name, len, "phase"))
		s = "during";
	else if (ascii_equal(name, len, "name"))
		s = "fife Sieve";
	else if (ascii_equal(name, len, "version"))
		s = "1";
	else if (ascii_equal(name, len, "remote-host"))
		s = in->remote_host;
	else if (ascii_equal(name, len, "remote-ip"))
		s = in->remote_ip;
	else if (ascii_equal(name, len, "vnd.dovecot.default-mailbox") ||
		 ascii_equal(name, len, "default_mailbox"))
		s = "INBOX";
	else if (ascii_equal(name, len, "vnd.dovecot.username") ||
		 ascii_equal(name, len, "username"))
		s = in->owner;
	*out = (struct sieve_value){ s != NULL ? s : "", s != NULL ? strlen(s) : 0 };
	return s != NULL;
}

static int
test_environment(struct sieve_run *run, struct sieve_node *node)
{
	struct sieve_value name, v;
	struct sieve_match m;
	int r = 0;

	if (sieve_expand(run, &node->positional[0]->v[0], &name) == -1 ||
	    sieve_match_begin(run, node, node->positional[1], &m) == -1)
		return -1;
	/* What is not known matches nothing, not even by :count (RFC 5183, 4). */
	if (!sieve_environment(run, name.s, name.len, &v)) {
		(void)sieve_match_end(&m, 1);
		return 0;
	}
	r = sieve_match_value(&m, &v);
	return sieve_match_end(&m, r);
}

/* ---- spamtest and virustest (RFC 5235) ---- */

static int
test_spam(struct sieve_run *run, struct sieve_node *node)
{
	bool percent = sieve_option(node, OPT_PERCENT) != NULL, tested;
	struct sieve_match m;
	struct sieve_value v;
	char text[16];
	int n, r = 0;

	if (node->rule->op == OP_VIRUSTEST) {
		n = run->in->virus;
		tested = n > 0;
	} else if (run->in->spam < 0) {
		n = 0;
		tested = false;
	} else {
		double s = run->in->spam > 1 ? 1 : run->in->spam;

		n = percent ? (int)(s * 100 + 0.5) : 1 + (int)(s * 9 + 0.5);
		tested = true;
	}
	if (sieve_match_begin(run, node, node->positional[0], &m) == -1)
		return -1;
	v = (struct sieve_value){ text, (size_t)snprintf(text, sizeof(text), "%d", n) };
	/* With :percent, :count tells 0 of untested from 0 per cent. */
	if (tested || node->match != MATCH_COUNT)
		r = sieve_match_value(&m, &v);
	return sieve_match_end(&m, r);
}

/* ---- enotify (RFC 5435, 4 and 5) ---- */

static int
is_method(struct sieve_run *run, const struct sieve_value *v)
{
	struct sieve_mailto mailto;
	const char *why;

	return sieve_mailto_parse(run->scratch, v->s, v->len, &mailto, &why) == 0;
}

static int
test_methods(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[0];

	for (size_t i = 0; i < a->n; i++) {
		struct sieve_value v;

		if (sieve_expand(run, &a->v[i], &v) == -1)
			return -1;
		if (!is_method(run, &v))
			return 0;
	}
	return 1;
}

static int
test_method_capability(struct sieve_run *run, struct sieve_node *node)
{
	static const struct sieve_value maybe = { "maybe", 5 };
	struct sieve_value method, name;
	struct sieve_match m;
	int r = 0;

	if (sieve_expand(run, &node->positional[0]->v[0], &method) == -1 ||
	    sieve_expand(run, &node->positional[1]->v[0], &name) == -1 ||
	    sieve_match_begin(run, node, node->positional[2], &m) == -1)
		return -1;
	if (!is_method(run, &method) || !ascii_equal(name.s, name.len, "online")) {
		(void)sieve_match_end(&m, 1);
		return 0;
	}
	r = sieve_match_value(&m, &maybe);
	return sieve_match_end(&m, r);
}

/* ---- mailboxes (RFC 5490, RFC 8579) ---- */

static const char *
text_of(struct sieve_run *run, const struct sieve_string *str)
{
	struct sieve_value v;

	if (sieve_expand(run, str, &v) == -1)
		return NULL;
	if (str->pieces == NULL)
		return str->s;
	return arena_copy(run->scratch, v.s, v.len);
}

static int
test_mailboxes(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[0];

	for (size_t i = 0; i < a->n; i++) {
		const char *name = text_of(run, &a->v[i]);

		if (name == NULL)
			return sieve_fail_memory(run);
		if (run->in->mailbox_exists == NULL ||
		    !run->in->mailbox_exists(name, run->in->arg))
			return 0;
	}
	return 1;
}

static int
test_special_uses(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_arg *a = node->positional[1];
	const char *mailbox = NULL;

	if (node->positional[0] != NULL &&
	    (mailbox = text_of(run, &node->positional[0]->v[0])) == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < a->n; i++) {
		const char *use = text_of(run, &a->v[i]);

		if (use == NULL)
			return sieve_fail_memory(run);
		if (run->in->special_use == NULL ||
		    !run->in->special_use(mailbox, use, run->in->arg))
			return 0;
	}
	return 1;
}

static int
test_metadata(struct sieve_run *run, struct sieve_node *node)
{
	bool server = node->rule->op == OP_SERVERMETADATA;
	const char *mailbox = server ? NULL : text_of(run, &node->positional[0]->v[0]),
		   *name = text_of(run, &node->positional[server ? 0 : 1]->v[0]);
	struct sieve_match m;
	char *value;
	int r = 0;

	if (name == NULL || (!server && mailbox == NULL))
		return sieve_fail_memory(run);
	if (sieve_match_begin(run, node, node->positional[server ? 1 : 2], &m) == -1)
		return -1;
	value = run->in->metadata != NULL ? run->in->metadata(mailbox, name, run->in->arg)
					  : NULL;
	if (value != NULL) {
		struct sieve_value v = { value, strlen(value) };

		r = sieve_match_value(&m, &v);
	}
	free(value);
	return sieve_match_end(&m, r);
}

static int
test_metadata_exists(struct sieve_run *run, struct sieve_node *node)
{
	bool server = node->rule->op == OP_SERVERMETADATAEXISTS;
	const struct sieve_arg *a = node->positional[server ? 0 : 1];
	const char *mailbox = server ? NULL : text_of(run, &node->positional[0]->v[0]);

	if (!server && mailbox == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < a->n; i++) {
		const char *name = text_of(run, &a->v[i]);
		char *value;

		if (name == NULL)
			return sieve_fail_memory(run);
		value = run->in->metadata != NULL
			    ? run->in->metadata(mailbox, name, run->in->arg)
			    : NULL;
		if (value == NULL)
			return 0;
		free(value);
	}
	return 1;
}

/* ---- duplicate (RFC 7352) ---- */

static int
unique_id(struct sieve_run *run, struct sieve_node *node, struct sieve_value *id)
{
	static const struct sieve_value message_id = { "message-id", 10 };
	struct sieve_value name = message_id;

	if (sieve_option(node, OPT_UNIQUEID) != NULL)
		return sieve_option_value(run, node, OPT_UNIQUEID, id);
	if (sieve_option(node, OPT_HEADER) != NULL &&
	    sieve_option_value(run, node, OPT_HEADER, &name) == -1)
		return -1;
	*id = (struct sieve_value){ NULL, 0 };
	for (size_t i = 0; i < run->n_fields; i++)
		if (name.len > 0 && run->fields[i].name_len == name.len &&
		    strncasecmp(run->fields[i].name, name.s, name.len) == 0)
			return sieve_field_text(run, &run->fields[i], false, id);
	return 0;
}

static int
test_duplicate(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option(node, OPT_SECONDS);
	uint64_t seconds = o != NULL ? o->arg->number : DUPLICATE_SECONDS;
	struct sieve_result *out = run->out;
	struct sieve_value id, handle;
	unsigned int len = 0;
	uint8_t key[32];
	size_t n;
	char *text;
	bool known;

	if (unique_id(run, node, &id) == -1 ||
	    sieve_option_value(run, node, OPT_HANDLE, &handle) == -1)
		return -1;
	if (id.s == NULL || id.len == 0)
		return 0;
	n = handle.len + id.len + 64;
	if ((text = arena_alloc(run->scratch, n)) == NULL)
		return sieve_fail_memory(run);
	n = (size_t)snprintf(text, 64, "duplicate %zu %d ", handle.len,
	    sieve_option(node, OPT_UNIQUEID) != NULL);
	if (handle.len > 0)
		memcpy(text + n, handle.s, handle.len);
	memcpy(text + n + handle.len, id.s, id.len);
	if (EVP_Digest(text, n + handle.len + id.len, key, &len, EVP_sha256(), NULL) != 1)
		return sieve_fail(run, "no digest");
	known = run->in->duplicate != NULL && run->in->duplicate(key, run->in->arg);
	if (known && sieve_option(node, OPT_LAST) == NULL)
		return 1;
	if (seconds > DUPLICATE_SECONDS_MAX)
		seconds = DUPLICATE_SECONDS_MAX;
	for (size_t i = 0; i < out->n_marks; i++)
		if (memcmp(out->marks[i].key, key, sizeof(key)) == 0)
			return known;
	if (seconds > 0 && out->n_marks < SIEVE_ACTIONS_MAX) {
		memcpy(out->marks[out->n_marks].key, key, sizeof(key));
		out->marks[out->n_marks++].remember_s = (uint32_t)seconds;
	}
	return known;
}

int
sieve_test_other(struct sieve_run *run, struct sieve_node *node)
{
	switch (node->rule->op) {
	case OP_STRING:
		return test_string(run, node);
	case OP_ENVIRONMENT:
		return test_environment(run, node);
	case OP_SPAMTEST:
	case OP_VIRUSTEST:
		return test_spam(run, node);
	case OP_VALID_NOTIFY_METHOD:
		return test_methods(run, node);
	case OP_NOTIFY_METHOD_CAPABILITY:
		return test_method_capability(run, node);
	case OP_MAILBOXEXISTS:
		return test_mailboxes(run, node);
	case OP_SPECIALUSE_EXISTS:
		return test_special_uses(run, node);
	case OP_METADATA:
	case OP_SERVERMETADATA:
		return test_metadata(run, node);
	case OP_METADATAEXISTS:
	case OP_SERVERMETADATAEXISTS:
		return test_metadata_exists(run, node);
	case OP_DUPLICATE:
		return test_duplicate(run, node);
	default:
		return sieve_fail(run, "the test %s cannot be run", node->name);
	}
}
