/* SPDX-License-Identifier: ISC */
/*
 * Runs scripts of tests (regress/sieve/NAME.svtest, or those named as arguments) that are
 * themselves Sieve, with the commands that the extension vnd.dovecot.testsuite of
 * Pigeonhole has: test, test_set, test_fail, test_script_compile, test_script_run,
 * test_result_execute, test_result_action, test_result_reset, test_error, test_message,
 * test_mailbox_create, test_config_set and those about compiled scripts, which do
 * nothing. As there, a message stays until the next, what a test itself does is carried
 * out unless a script was run, and test_result_reset forgets what was sent, not what
 * was stored.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "mailbox/sieve/checker.h"
#include "mailbox/sieve/run.h"
#include "mailbox/store.h"

#define DIRECTORY "regress/sieve"
#define MESSAGES_MAX 200

enum host {
	HOST_TEST = 1,
	HOST_SET,
	HOST_FAIL,
	HOST_COMPILE,
	HOST_RUN,
	HOST_EXECUTE,
	HOST_ACTION,
	HOST_RESET,
	HOST_ERROR,
	HOST_MESSAGE,
	HOST_MAILBOX,
	HOST_CONFIG,
	HOST_NOTHING
};

#define END                      \
	{                        \
		NULL, 0, 0, 0, 0 \
	}
static const struct sieve_option_rule index_options[] = {
	{ "index", OPT_INDEX, 'n', EXT_BASE, GROUP_NONE },
	END,
};
static const struct sieve_option_rule message_options[] = {
	{ "folder", OPT_HOST, 's', EXT_BASE, GROUP_NONE },
	{ "smtp", OPT_NAME, 0, EXT_BASE, GROUP_NONE },
	END,
};
static const struct sieve_option_rule config_options[] = {
	{ "extension", OPT_HOST, 's', EXT_BASE, GROUP_NONE },
	END,
};

#define MATCH sieve_match_options
#define X EXT_BIT(EXT_HOST)
static const struct sieve_rule rules[] = {
	{ "test", OP_HOST, RULE_BLOCK, X, "s", { NULL }, NULL, HOST_TEST },
	{ "test_set", OP_HOST, 0, X, "ss", { NULL }, NULL, HOST_SET },
	{ "test_fail", OP_HOST, 0, X, "s", { NULL }, NULL, HOST_FAIL },
	{ "test_script_compile", OP_HOST, RULE_TEST, X, "s", { NULL }, NULL,
	    HOST_COMPILE },
	{ "test_script_run", OP_HOST, RULE_TEST, X, "", { NULL }, NULL, HOST_RUN },
	{ "test_result_execute", OP_HOST, RULE_TEST, X, "", { NULL }, NULL,
	    HOST_EXECUTE },
	{ "test_result_action", OP_HOST, RULE_TEST, X, "l", { MATCH, index_options },
	    check_keys, HOST_ACTION },
	{ "test_result", OP_HOST, RULE_TEST, X, "l", { MATCH, index_options }, check_keys,
	    HOST_ACTION },
	{ "test_result_reset", OP_HOST, 0, X, "", { NULL }, NULL, HOST_RESET },
	{ "test_result_print", OP_HOST, 0, X, "", { NULL }, NULL, HOST_NOTHING },
	{ "test_error", OP_HOST, RULE_TEST, X, "l", { MATCH, index_options }, check_keys,
	    HOST_ERROR },
	{ "test_message", OP_HOST, 0, X, "n", { message_options }, NULL, HOST_MESSAGE },
	{ "test_message", OP_HOST, RULE_TEST, X, "n", { message_options }, NULL,
	    HOST_MESSAGE },
	{ "test_mailbox_create", OP_HOST, 0, X, "s", { NULL }, NULL, HOST_MAILBOX },
	{ "test_config_set", OP_HOST, 0, X, "ss", { NULL }, NULL, HOST_CONFIG },
	{ "test_config_unset", OP_HOST, 0, X, "s", { NULL }, NULL, HOST_NOTHING },
	{ "test_config_reload", OP_HOST, 0, X, "", { config_options }, NULL,
	    HOST_NOTHING },
	{ "test_binary_save", OP_HOST, 0, X, "s", { NULL }, NULL, HOST_NOTHING },
	{ "test_binary_load", OP_HOST, 0, X, "s", { NULL }, NULL, HOST_NOTHING },
	{ "test_message_print", OP_HOST, 0, X, "", { NULL }, NULL, HOST_NOTHING },
	{ NULL, OP_NONE, 0, 0, NULL, { NULL }, NULL, 0 },
};

struct kept {
	char *folder; /* NULL: sent */
	char *from, *to;
	char *text;
	size_t len;
	char *flags; /* as imap4flags writes them */
};

static struct {
	const char *path; /* of the script of tests */
	struct sieve_input in;
	char *message, *from, *to, *owner;
	struct sieve_program *program;
	struct sieve_errors errors;
	struct sieve_result result; /* of the script that was run */
	bool ran;                   /* it counts, not what the test did */
	struct kept kept[MESSAGES_MAX];
	size_t n_kept;
	unsigned int tests, failed;
	bool test_failed;
	char test[128];
} suite;

static void
replace(char **to, const char *s, size_t len)
{
	free(*to);
	assert_non_null(*to = strndup(s, len));
}

static bool
mailbox_exists(const char *name, void *arg)
{
	for (size_t i = 0; i < suite.n_kept; i++)
		if (suite.kept[i].folder != NULL &&
		    strcmp(suite.kept[i].folder, name) == 0)
			return true;
	return strcasecmp(name, "INBOX") == 0;
}

static void
keep(const char *folder, const char *from, const char *to, const char *a, size_t a_len,
    const char *b, size_t b_len)
{
	struct kept *k = &suite.kept[suite.n_kept];

	assert_true(suite.n_kept < MESSAGES_MAX);
	suite.n_kept++;
	memset(k, 0, sizeof(*k));
	if (folder != NULL)
		assert_non_null(k->folder = strdup(folder));
	if (to != NULL) {
		assert_non_null(k->from = strdup(from));
		assert_non_null(k->to = strdup(to));
	}
	if (a == NULL)
		return;
	k->len = a_len + b_len;
	assert_non_null(k->text = malloc(k->len + 1));
	memcpy(k->text, a, a_len);
	if (b_len > 0)
		memcpy(k->text + a_len, b, b_len);
	k->text[k->len] = '\0';
}

static void
forget_kept(bool stored)
{
	size_t left = 0;

	for (size_t i = 0; i < suite.n_kept; i++) {
		struct kept *k = &suite.kept[i];

		if (k->folder != NULL && !stored) {
			suite.kept[left++] = *k;
			continue;
		}
		free(k->folder);
		free(k->from);
		free(k->to);
		free(k->text);
		free(k->flags);
	}
	suite.n_kept = left;
}

static char *
flags_text(const struct sieve_action *a)
{
	static const struct {
		uint8_t flag;
		const char *name;
	} names[] = { { FLAG_SEEN, "\\Seen " }, { FLAG_ANSWERED, "\\Answered " },
		{ FLAG_FLAGGED, "\\Flagged " }, { FLAG_DELETED, "\\Deleted " },
		{ FLAG_DRAFT, "\\Draft " } };
	char s[1024] = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((a->flags & names[i].flag) != 0)
			strlcat(s, names[i].name, sizeof(s));
	if (a->keywords != NULL)
		strlcat(s, a->keywords, sizeof(s));
	return strdup(s);
}

static int
set_message(struct sieve_run *run, const char *s, size_t len)
{
	replace(&suite.message, s, len);
	suite.in.data = suite.message;
	suite.in.len = len;
	return run != NULL ? sieve_message_again(run) : 0;
}

static int
set_part(struct sieve_run *run, const struct sieve_node *node)
{
	struct sieve_value part, v;

	if (sieve_expand(run, &node->positional[0]->v[0], &part) == -1 ||
	    sieve_expand(run, &node->positional[1]->v[0], &v) == -1)
		return -1;
	if (part.len > 9 && strncmp(part.s, "envelope.", 9) == 0 && v.len >= 2 &&
	    v.s[0] == '<' && v.s[v.len - 1] == '>') {
		v.s++;
		v.len -= 2;
	}
	if (ascii_equal(part.s, part.len, "message"))
		return set_message(run, v.s, v.len);
	if (ascii_equal(part.s, part.len, "envelope.from")) {
		replace(&suite.from, v.s, v.len);
		suite.in.envelope_from = suite.from;
	} else if (ascii_equal(part.s, part.len, "envelope.to")) {
		replace(&suite.to, v.s, v.len);
		suite.in.envelope_to = suite.to;
		replace(&suite.owner, v.s, v.len);
		suite.in.owner = suite.owner;
	}
	return 0;
}

/* Scripts lie beside the script of tests; included ones in included/. */
static int
load(const char *name, char **text, size_t *len)
{
	const char *slash = strrchr(suite.path, '/');
	char path[1024];
	FILE *f;
	long n;

	snprintf(path, sizeof(path), "%.*s%s",
	    slash != NULL ? (int)(slash - suite.path) + 1 : 0, suite.path, name);
	if ((f = fopen(path, "r")) == NULL)
		return 1;
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	n = ftell(f);
	rewind(f);
	assert_non_null(*text = malloc((size_t)n + 1));
	*len = fread(*text, 1, (size_t)n, f);
	fclose(f);
	return 0;
}

static int
included(enum sieve_location where, const char *name, char **text, size_t *len, void *arg)
{
	char file[256];

	snprintf(file, sizeof(file), "included%s/%s.sieve",
	    where == SIEVE_GLOBAL ? "-global" : "", name);
	return load(file, text, len);
}

static int
compile(struct sieve_run *run, const struct sieve_node *node)
{
	struct sieve_compile env = { .script = included };
	struct sieve_value v;
	char name[256], *text = NULL;
	size_t len = 0;

	if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1)
		return -1;
	snprintf(name, sizeof(name), "%.*s", (int)v.len, v.s);
	sieve_free(suite.program);
	suite.program = NULL;
	if (load(name, &text, &len) != 0)
		return sieve_fail(run, "there is no script %s", name);
	suite.program = sieve_compile(name, text, len, &env, &suite.errors);
	free(text);
	return suite.program != NULL;
}

static const char *
action_name(const struct sieve_action *a)
{
	switch (a->kind) {
	case SIEVE_KEEP:
	case SIEVE_FILEINTO:
		return "store";
	case SIEVE_REDIRECT:
		return "redirect";
	case SIEVE_REJECT:
		return "reject";
	case SIEVE_REPLY:
		return "vacation";
	case SIEVE_NOTIFY:
		return "notify";
	default:
		return "fcc";
	}
}

/* The nth of texts against the keys, or all of them; :count counts. */
static int
match_texts(
    struct sieve_run *run, const struct sieve_node *node, const char **texts, size_t n)
{
	const struct sieve_option *index = sieve_option(node, OPT_INDEX);
	struct sieve_match m;
	int r = 0;

	if (sieve_match_begin(run, node, node->positional[0], &m) == -1)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct sieve_value v = { texts[i], strlen(texts[i]) };

		if (index == NULL || index->arg->number == i + 1)
			r = sieve_match_value(&m, &v);
	}
	return sieve_match_end(&m, r);
}

static int
execute(struct sieve_run *run)
{
	const struct sieve_result *r = suite.ran ? &suite.result : run->out;

	if (!suite.ran) {
		run->out->body_off = run->body_off;
		if (!run->out->cancelled)
			sieve_implicit_keep(run);
	}

	for (size_t i = 0; i < r->n; i++) {
		const struct sieve_action *a = &r->v[i];
		const char *head = a->header != NULL ? a->header : suite.message,
			   *body = a->header != NULL ? suite.message + r->body_off : "";
		size_t head_len = a->header != NULL ? a->header_len : suite.in.len,
		       body_len = a->header != NULL ? suite.in.len - r->body_off : 0;

		if (a->message != NULL) {
			head = a->message;
			head_len = a->message_len;
			body_len = 0;
		}
		if (a->kind == SIEVE_REJECT)
			continue;
		if (a->address != NULL)
			keep(NULL,
			    a->reverse_path != NULL ? a->reverse_path
						    : suite.in.envelope_from,
			    a->address, head, head_len, body, body_len);
		else
			keep(a->mailbox, NULL, NULL, head, head_len, body, body_len);
		if (a->mailbox != NULL && a->address == NULL)
			suite.kept[suite.n_kept - 1].flags = flags_text(a);
	}
	return r->status == SIEVE_OK;
}

static int
get_message(struct sieve_run *run, const struct sieve_node *node, bool test)
{
	const struct sieve_option *folder = sieve_option(node, OPT_HOST);
	uint64_t n = node->positional[0]->number;
	struct sieve_value v = { "", 0 };

	if (folder != NULL && sieve_expand(run, &folder->arg->v[0], &v) == -1)
		return -1;
	for (size_t i = 0; i < suite.n_kept; i++) {
		const struct kept *k = &suite.kept[i];

		if (k->text == NULL || (folder != NULL) != (k->folder != NULL) ||
		    (folder != NULL && (strlen(k->folder) != v.len ||
					   strncasecmp(k->folder, v.s, v.len) != 0)) ||
		    n-- > 0)
			continue;
		if (k->to != NULL) {
			replace(&suite.from, k->from, strlen(k->from));
			replace(&suite.to, k->to, strlen(k->to));
			suite.in.envelope_from = suite.from;
			suite.in.envelope_to = suite.to;
		}
		if (k->flags != NULL && sieve_variable_set(run, &run->flags, k->flags,
					    strlen(k->flags)) == -1)
			return -1;
		return set_message(run, k->text, k->len) == -1 ? -1 : 1;
	}
	return test ? 0 : sieve_fail(run, "there is no such message");
}

static int
run_one(struct sieve_run *run, const struct sieve_node *node)
{
	struct sieve_value v;
	enum sieve_flow flow;

	if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1)
		return -1;
	snprintf(suite.test, sizeof(suite.test), "%.*s", (int)v.len, v.s);
	suite.test_failed = false;
	suite.tests++;
	run->steps = SIEVE_STEPS_MAX;
	flow = sieve_commands(run, node->block);
	if (flow == FLOW_FAIL) {
		print_error("%s: %s: %s\n", suite.path, suite.test, run->out->error);
		suite.failed++;
		/* The others go on. */
		run->out->status = SIEVE_OK;
		run->out->error[0] = '\0';
	} else if (suite.test_failed)
		suite.failed++;
	return 0;
}

/* What of the settings there has its like here. */
static int
configure(struct sieve_run *run, const struct sieve_node *node)
{
	struct sieve_value name, v;

	if (sieve_expand(run, &node->positional[0]->v[0], &name) == -1 ||
	    sieve_expand(run, &node->positional[1]->v[0], &v) == -1)
		return -1;
	if (ascii_equal(name.s, name.len, "sieve_max_redirects"))
		suite.in.redirects_max = (uint32_t)strtoul(v.s, NULL, 10);
	return 0;
}

static int
host_run(void *arg, const void *arg2, void *unused)
{
	struct sieve_run *run = arg;
	const struct sieve_node *node = arg2;
	const char *texts[SIEVE_ERRORS_MAX + SIEVE_ACTIONS_MAX * 2];
	const struct sieve_result *r;
	struct sieve_value v;
	size_t n = 0;

	switch (node->rule->host) {
	case HOST_TEST:
		return run_one(run, node);
	case HOST_SET:
		return set_part(run, node);
	case HOST_FAIL:
		if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1)
			return -1;
		print_error("%s: %s: line %u: %.*s\n", suite.path, suite.test,
		    node->at.line, (int)v.len, v.s);
		suite.test_failed = true;
		return 2;
	case HOST_COMPILE:
		return compile(run, node);
	case HOST_RUN:
		if (suite.program == NULL)
			return sieve_fail(run, "no script is compiled");
		sieve_result_clear(&suite.result);
		sieve_run(suite.program, &suite.in, &suite.result);
		suite.ran = true;
		return suite.result.status == SIEVE_OK;
	case HOST_EXECUTE:
		return execute(run);
	case HOST_ACTION:
		r = suite.ran ? &suite.result : run->out;
		for (size_t i = 0; i < r->n; i++)
			texts[n++] = action_name(&r->v[i]);
		return match_texts(run, node, texts, n);
	case HOST_ERROR:
		for (size_t i = 0; i < suite.errors.kept; i++)
			if (!suite.errors.v[i].warning)
				texts[n++] = suite.errors.v[i].text;
		if (suite.result.status == SIEVE_FAILED)
			texts[n++] = suite.result.error;
		return match_texts(run, node, texts, n);
	case HOST_RESET:
		sieve_result_clear(&suite.result);
		suite.ran = false;
		run->out->n = run->out->n_marks = 0;
		run->out->cancelled = false;
		run->redirects = 0;
		run->vacated = false;
		forget_kept(false);
		return sieve_variable_set(run, &run->flags, "", 0);
	case HOST_CONFIG:
		return configure(run, node);
	case HOST_MESSAGE:
		return get_message(run, node, (node->rule->flags & RULE_TEST) != 0);
	case HOST_MAILBOX:
		if (sieve_expand(run, &node->positional[0]->v[0], &v) == -1)
			return -1;
		snprintf(suite.test + 64, 64, "%.*s", (int)v.len, v.s);
		keep(suite.test + 64, NULL, NULL, NULL, 0, NULL, 0);
		return 0;
	default:
		return 0;
	}
}

static void
run_file(const char *path)
{
	static const char first[] = "From: sender@example.org\r\nSubject: Test\r\n\r\n"
				    "Text\r\n";
	struct sieve_compile env = { .script = included, .host_rules = rules };
	static struct sieve_errors errors;
	static struct sieve_result result;
	struct sieve_program *p;
	char *text = NULL;
	size_t len = 0;
	const char *slash = strrchr(path, '/');

	suite.path = path;
	assert_int_equal(load(slash != NULL ? slash + 1 : path, &text, &len), 0);
	p = sieve_compile(path, text, len, &env, &errors);
	free(text);
	if (p == NULL) {
		for (size_t i = 0; i < errors.kept; i++)
			print_error("%s: line %u: %s\n", errors.v[i].script,
			    errors.v[i].line, errors.v[i].text);
		suite.failed++;
		return;
	}
	memset(&suite.in, 0, sizeof(suite.in));
	suite.in.head = "";
	suite.in.hostname = "mx.example.com";
	suite.in.separator = '+';
	suite.in.now = 1700000000;
	suite.in.spam = -1;
	suite.in.mailbox_exists = mailbox_exists;
	suite.in.host_run = host_run;
	suite.in.steps_max = UINT32_MAX;
	replace(&suite.from, "sender@example.com", 18);
	replace(&suite.to, "recipient@example.com", 21);
	suite.in.envelope_from = suite.from;
	suite.in.envelope_to = suite.to;
	replace(&suite.owner, suite.to, strlen(suite.to));
	suite.in.owner = suite.owner;
	suite.ran = false;
	(void)set_message(NULL, first, sizeof(first) - 1);
	sieve_run(p, &suite.in, &result);
	if (result.status == SIEVE_FAILED) {
		print_error("%s: %s\n", path, result.error);
		suite.failed++;
	}
	sieve_result_clear(&result);
	sieve_free(p);
	sieve_free(suite.program);
	suite.program = NULL;
	sieve_result_clear(&suite.result);
	forget_kept(true);
}

static void
test_files(void **state)
{
	struct dirent **names;
	int n = scandir(DIRECTORY, &names, NULL, alphasort);
	char path[600];

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		const char *dot = strrchr(names[i]->d_name, '.');

		if (dot != NULL && strcmp(dot, ".svtest") == 0) {
			snprintf(path, sizeof(path), DIRECTORY "/%s", names[i]->d_name);
			run_file(path);
		}
		free(names[i]);
	}
	free(names);
	print_message("%u tests in Sieve\n", suite.tests);
	assert_true(suite.tests > 10);
	assert_int_equal(suite.failed, 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
	};
	int r = 0;

	charset_preload();
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			run_file(argv[i]);
		print_message("%u tests, %u failed\n", suite.tests, suite.failed);
		r = suite.failed > 0;
	} else
		r = cmocka_run_group_tests(tests, NULL, NULL);
	free(suite.message);
	free(suite.from);
	free(suite.to);
	free(suite.owner);
	return r;
}
