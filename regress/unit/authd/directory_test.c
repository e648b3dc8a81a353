/* SPDX-License-Identifier: ISC */
/* The directory and the resolution on top of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/resolve.h"
#include "common/compat/compat.h"

static char dir[] = "/tmp/fife-directory.XXXXXX";
static char path[64];
static struct directory *d;
static struct resolver r;

static int
setup(void **state)
{
	strlcpy(dir, "/tmp/fife-directory.XXXXXX", sizeof(dir));
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/directory", dir);
	d = directory_open(path, 50050, 50053);
	assert_non_null(d);
	r.directory = d;
	r.hostname = "mail.example.test";
	r.postmaster = "";
	assert_int_equal(directory_domain_add(d, "example.test"), DIR_OK);
	return 0;
}

static int
teardown(void **state)
{
	char lock[80];

	directory_close(d);
	unlink(path);
	snprintf(lock, sizeof(lock), "%s-lock", path);
	unlink(lock);
	rmdir(dir);
	return 0;
}

static enum dir_status
add_user(const char *address)
{
	struct user u = { 0 };

	strlcpy(u.address, address, sizeof(u.address));
	strlcpy(u.password.crypt, "x", sizeof(u.password.crypt));
	return directory_user_add(d, &u);
}

static void
domains(void **state)
{
	assert_int_equal(directory_domain_add(d, "example.test"), DIR_EXISTS);
	assert_int_equal(directory_domain_get(d, "example.test"), DIR_OK);
	assert_int_equal(directory_domain_get(d, "other.test"), DIR_NONE);
	assert_int_equal(add_user("a@other.test"), DIR_NONE);
	assert_int_equal(add_user("a@example.test"), DIR_OK);
	assert_int_equal(directory_domain_del(d, "example.test"), DIR_BUSY);
	assert_int_equal(directory_user_del(d, "a@example.test"), DIR_OK);
	assert_int_equal(directory_domain_del(d, "example.test"), DIR_OK);
	assert_int_equal(directory_domain_del(d, "example.test"), DIR_NONE);
}

static void
users_and_uids(void **state)
{
	struct user u;

	assert_int_equal(add_user("a@example.test"), DIR_OK);
	assert_int_equal(add_user("a@example.test"), DIR_EXISTS);
	assert_int_equal(add_user("b@example.test"), DIR_OK);
	assert_int_equal(directory_user_get(d, "a@example.test", &u), DIR_OK);
	assert_int_equal(u.uid, 50050);
	assert_string_equal(u.mailbox, "example.test/a");
	/* A freed uid is not given out again before the others were. */
	assert_int_equal(directory_user_del(d, "a@example.test"), DIR_OK);
	assert_int_equal(add_user("c@example.test"), DIR_OK);
	assert_int_equal(directory_user_get(d, "c@example.test", &u), DIR_OK);
	assert_int_equal(u.uid, 50052);
	assert_int_equal(add_user("d@example.test"), DIR_OK);
	assert_int_equal(add_user("e@example.test"), DIR_OK);
	assert_int_equal(directory_user_get(d, "e@example.test", &u), DIR_OK);
	assert_int_equal(u.uid, 50050);
	assert_int_equal(add_user("f@example.test"), DIR_FULL);
	/* and it survives a reopen */
	directory_close(d);
	d = directory_open(path, 50050, 50053);
	assert_int_equal(directory_user_get(d, "e@example.test", &u), DIR_OK);
	assert_int_equal(u.uid, 50050);
}

static void
rename_keeps_the_record(void **state)
{
	struct user before, after;
	char targets[400];

	add_user("a@example.test");
	add_user("b@example.test");
	directory_user_get(d, "a@example.test", &before);
	assert_int_equal(
	    directory_user_rename(d, "a@example.test", "b@example.test"), DIR_EXISTS);
	assert_int_equal(
	    directory_user_rename(d, "a@example.test", "z@no.test"), DIR_NONE);
	assert_int_equal(
	    directory_user_rename(d, "a@example.test", "z@example.test"), DIR_OK);
	assert_int_equal(directory_user_get(d, "z@example.test", &after), DIR_OK);
	assert_int_equal(after.uid, before.uid);
	assert_string_equal(after.mailbox, "example.test/z");
	assert_int_equal(
	    directory_alias_get(d, "a@example.test", targets, sizeof(targets)), DIR_OK);
	assert_string_equal(targets, "z@example.test");
	/* And back, which takes the alias's place; but no other alias's. */
	directory_alias_put(d, "y@example.test", "b@example.test");
	assert_int_equal(
	    directory_user_rename(d, "z@example.test", "y@example.test"), DIR_EXISTS);
	assert_int_equal(
	    directory_user_rename(d, "z@example.test", "a@example.test"), DIR_OK);
	assert_int_equal(
	    directory_alias_get(d, "a@example.test", targets, sizeof(targets)), DIR_NONE);
	assert_int_equal(
	    directory_alias_get(d, "z@example.test", targets, sizeof(targets)), DIR_OK);
	assert_string_equal(targets, "a@example.test");
}

static void
mailbox_paths_are_safe(void **state)
{
	static const struct {
		const char *key, *path;
	} rows[] = {
		{ "alice@example.test", "example.test/alice" },
		{ "a.b@example.test", "example.test/a.b" },
		{ "..@example.test", "example.test/%2e." },
		{ "../x@example.test", "example.test/%2e.%2fx" },
		{ "a b\"c@example.test", "example.test/a%20b%22c" },
		{ "a%b@example.test", "example.test/a%25b" },
		{ "A@example.test", "example.test/%41" },
		{ "\xc3\xa4@example.test", "example.test/\xc3\xa4" },
	};
	char out[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(mailbox_path(rows[i].key, out, sizeof(out)), 0);
		assert_string_equal(out, rows[i].path);
	}
	assert_int_equal(mailbox_path("nobody", out, sizeof(out)), -1);
	assert_int_equal(mailbox_path("@x", out, sizeof(out)), -1);
	assert_int_equal(mailbox_path("a@../x", out, sizeof(out)), -1);
	assert_int_equal(mailbox_path("alice@example.test", out, 10), -1);
}

static void
routes_most_specific_first(void **state)
{
	char url[100], matched[100];

	directory_route_put(d, "*", "smtp://default");
	directory_route_put(d, ".example.org", "smtp://sub");
	directory_route_put(d, "mx.example.org", "smtp://exact");
	directory_route_find(
	    d, "mx.example.org", "", url, sizeof(url), matched, sizeof(matched));
	assert_string_equal(url, "smtp://exact");
	directory_route_find(
	    d, "a.b.example.org", "", url, sizeof(url), matched, sizeof(matched));
	assert_string_equal(url, "smtp://sub");
	assert_string_equal(matched, ".example.org");
	directory_route_find(
	    d, "example.org", "", url, sizeof(url), matched, sizeof(matched));
	assert_string_equal(url, "smtp://default");
	directory_route_put(d, "from:alice@x.test", "smtp://alice");
	directory_route_put(d, "from:@x.test", "smtp://them");
	assert_true(directory_route_by_sender(d));
	directory_route_find(
	    d, "example.org", "Alice@X.test", url, sizeof(url), matched, sizeof(matched));
	assert_string_equal(url, "smtp://alice");
	directory_route_find(
	    d, "example.org", "bob@x.test", url, sizeof(url), matched, sizeof(matched));
	assert_string_equal(url, "smtp://them");
	directory_route_find(d, "mx.example.org", "bob@x.test", url, sizeof(url), matched,
	    sizeof(matched));
	assert_string_equal(url, "smtp://exact");
	directory_route_del(d, "from:alice@x.test");
	directory_route_del(d, "from:@x.test");
	assert_false(directory_route_by_sender(d));
	directory_route_del(d, "*");
	assert_int_equal(directory_route_find(d, "example.org", "", url, sizeof(url),
			     matched, sizeof(matched)),
	    DIR_NONE);
}

static void
classes(void **state)
{
	char who[321];
	struct user u;

	add_user("alice@example.test");
	add_user("bob@example.test");
	directory_alias_put(
	    d, "team@example.test", "alice@example.test bob@example.test");
	directory_user_get(d, "bob@example.test", &u);
	u.disabled = 1;
	directory_user_put(d, &u);
	/* The postmaster is the first who takes mail. */
	add_user("aaron@example.test");
	directory_user_get(d, "aaron@example.test", &u);
	u.closed = u.administrator = 1;
	directory_user_put(d, &u);
	directory_user_get(d, "aaron@example.test", &u);
	assert_true(u.closed == 1 && u.administrator == 1 && u.disabled == 0);
	assert_int_equal(resolve_class(&r, "aaron@example.test"), RESOLVE_DISABLED);
	assert_int_equal(resolve_class(&r, "aaron+x@example.test"), RESOLVE_DISABLED);
	assert_int_equal(resolve_class(&r, "alice@example.test"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "ALICE@EXAMPLE.TEST"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "alice+list@example.test"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "bob@example.test"), RESOLVE_DISABLED);
	assert_int_equal(resolve_class(&r, "team@example.test"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "nobody@example.test"), RESOLVE_UNKNOWN);
	assert_int_equal(resolve_class(&r, "x@elsewhere.test"), RESOLVE_REMOTE);
	assert_int_equal(resolve_class(&r, "postmaster"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "Postmaster@example.test"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "abuse@example.test"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "postmaster@mail.example.test"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "alice@mail.example.test"), RESOLVE_UNKNOWN);
	assert_int_equal(resolve_class(&r, ""), RESOLVE_UNKNOWN);
	assert_int_equal(resolve_class(&r, "@@"), RESOLVE_UNKNOWN);
	/* A domain that is another one's alias, and one of that. */
	directory_domain_add(d, "short.test");
	directory_domain_add(d, "shorter.test");
	assert_int_equal(resolve_class(&r, "alice@short.test"), RESOLVE_UNKNOWN);
	directory_domain_set(d, "short.test", "language=zh alias-of=example.test");
	directory_domain_set(d, "shorter.test", "alias-of=short.test");
	assert_int_equal(resolve_class(&r, "alice+x@shorter.test"), RESOLVE_OK);
	assert_int_equal(resolve_class(&r, "bob@shorter.test"), RESOLVE_DISABLED);
	assert_int_equal(resolve_class(&r, "nobody@short.test"), RESOLVE_UNKNOWN);
	assert_int_equal(resolve_class(&r, "postmaster@short.test"), RESOLVE_OK);
	assert_int_equal(
	    resolve_user(&r, "ALICE@short.test", who, sizeof(who)), RESOLVE_OK);
	assert_string_equal(who, "alice@example.test");
	directory_domain_set(d, "short.test", "alias-of=shorter.test");
	assert_int_equal(resolve_class(&r, "alice@short.test"), RESOLVE_UNKNOWN);
	directory_domain_set(d, "short.test", "alias-of=elsewhere.test");
	assert_int_equal(resolve_class(&r, "alice@short.test"), RESOLVE_UNKNOWN);
	directory_alias_put(d, "@example.test", "alice@example.test");
	assert_int_equal(resolve_class(&r, "nobody@example.test"), RESOLVE_OK);
}

static void
expansion(void **state)
{
	struct target *t;
	struct user u;
	int is_user;
	size_t n;

	add_user("alice@example.test");
	add_user("bob@example.test");
	directory_alias_put(d, "team@example.test",
	    "alice@example.test more@example.test gone@example.test far@elsewhere.test");
	directory_alias_put(d, "more@example.test", "bob@example.test team@example.test");
	assert_int_equal(resolve_targets(&r, "team@example.test", &t, &n), RESOLVE_OK);
	assert_int_equal(n, 3);
	assert_string_equal(t[0].mailbox, "example.test/alice");
	assert_int_equal(t[1].kind, TARGET_FORWARD);
	assert_string_equal(t[1].address, "far@elsewhere.test");
	assert_string_equal(t[2].mailbox, "example.test/bob");
	resolve_targets_free(t, n);
	/* nothing but each other */
	directory_alias_put(d, "a@example.test", "b@example.test");
	directory_alias_put(d, "b@example.test", "a@example.test");
	assert_int_equal(resolve_targets(&r, "a@example.test", &t, &n), RESOLVE_LOOP);
	/* an alias to outside is not relaying */
	directory_alias_put(d, "out@example.test", "x@elsewhere.test");
	assert_int_equal(resolve_targets(&r, "out@example.test", &t, &n), RESOLVE_OK);
	assert_int_equal(n, 1);
	resolve_targets_free(t, n);
	assert_int_equal(resolve_targets(&r, "x@elsewhere.test", &t, &n), RESOLVE_REMOTE);
	/* forward with and without a copy */
	directory_user_get(d, "bob@example.test", &u);
	strlcpy(u.forward, "b@elsewhere.test", sizeof(u.forward));
	directory_user_put(d, &u);
	assert_int_equal(resolve_targets(&r, "bob@example.test", &t, &n), RESOLVE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(t[0].kind, TARGET_MAILBOX); /* whose rules send it on */
	assert_non_null(strstr(t[0].rules, "redirect :copy \"b@elsewhere.test\""));
	assert_non_null(strstr(t[0].rules, "discard"));
	resolve_targets_free(t, n);
	u.forward_keep = 1;
	directory_user_put(d, &u);
	assert_int_equal(resolve_targets(&r, "bob@example.test", &t, &n), RESOLVE_OK);
	assert_int_equal(n, 1);
	assert_null(strstr(t[0].rules, "discard"));
	resolve_targets_free(t, n);
	/* Commands, of a user and of an alias. */
	strlcpy(u.forward, "|own", sizeof(u.forward));
	directory_user_put(d, &u);
	assert_int_equal(resolve_targets(&r, "bob+x@example.test", &t, &n), RESOLVE_OK);
	assert_int_equal(n, 2);
	assert_int_equal(t[1].kind, TARGET_COMMAND);
	assert_string_equal(t[1].address, "bob+x@example.test");
	assert_string_equal(t[1].mailbox, "bob@example.test");
	assert_string_equal(t[1].command, "own");
	resolve_targets_free(t, n);
	u.forward_keep = 0;
	directory_user_put(d, &u);
	assert_int_equal(resolve_targets(&r, "bob@example.test", &t, &n), RESOLVE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(t[0].kind, TARGET_COMMAND);
	resolve_targets_free(t, n);
	directory_alias_put(d, "cmd@example.test", "alice@example.test |ticket");
	assert_int_equal(resolve_targets(&r, "cmd@example.test", &t, &n), RESOLVE_OK);
	assert_int_equal(n, 2);
	resolve_targets_free(t, n);
	assert_int_equal(
	    resolve_command(&r, "cmd@example.test", "ticket", &u, &is_user), RESOLVE_OK);
	assert_int_equal(is_user, 0);
	assert_int_equal(resolve_command(&r, "cmd@example.test", "tick", &u, &is_user),
	    RESOLVE_UNKNOWN);
	assert_int_equal(
	    resolve_command(&r, "bob@example.test", "own", &u, &is_user), RESOLVE_OK);
	assert_int_equal(is_user, 1);
	assert_string_equal(u.mailbox, "example.test/bob");
	assert_int_equal(resolve_command(&r, "alice@example.test", "own", &u, &is_user),
	    RESOLVE_UNKNOWN);
}

static int
grow(struct user *u, void *arg)
{
	const char *spared = arg;

	if (strcmp(u->address, spared) == 0)
		return 0;
	memset(u->vacation, 'v', 700);
	u->limits.v[LIMIT_QUOTA] = 4096;
	return 1;
}

static int
give_up(struct user *u, void *arg)
{
	u->disabled = 1;
	return strcmp(u->address, "u150@example.test") == 0 ? -1 : 1;
}

/* All, though records grow while they are looked at; or none. */
static void
many(void **state)
{
	char address[64], spared[] = "u77@example.test";
	struct user u;
	size_t n;

	directory_close(d);
	d = directory_open(path, 50050, 51000);
	assert_non_null(d);
	r.directory = d;
	for (int i = 0; i < 300; i++) {
		snprintf(address, sizeof(address), "u%d@example.test", i);
		assert_int_equal(add_user(address), DIR_OK);
	}
	assert_int_equal(directory_users_change(d, grow, spared, &n), DIR_OK);
	assert_int_equal(n, 299);
	assert_int_equal(directory_users_change(d, give_up, NULL, &n), DIR_BAD);
	assert_int_equal(n, 0);
	for (int i = 0; i < 300; i++) {
		snprintf(address, sizeof(address), "u%d@example.test", i);
		assert_int_equal(directory_user_get(d, address, &u), DIR_OK);
		assert_int_equal(u.limits.v[LIMIT_QUOTA], i == 77 ? 0 : 4096);
		assert_int_equal(strlen(u.vacation), i == 77 ? 0 : 700);
		assert_int_equal(u.disabled, 0);
	}
}

static void
logins(void **state)
{
	char key[321];

	assert_int_equal(login_key("Alice", "example.test", key, sizeof(key)), 0);
	assert_string_equal(key, "alice@example.test");
	assert_int_equal(login_key("a@b.test", "example.test", key, sizeof(key)), 0);
	assert_string_equal(key, "a@b.test");
	assert_int_equal(login_key("alice", "", key, sizeof(key)), -1);
	assert_int_equal(login_key("a@@", "x.test", key, sizeof(key)), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void
send_as(void **state)
{
	static const struct {
		const char *sender, *send_as;
		enum resolve_status st;
	} rows[] = {
		{ "sa@example.test", "", RESOLVE_OK },
		{ "SA+x@Example.test", "", RESOLVE_OK },
		{ "one@example.test", "", RESOLVE_OK },   /* an alias */
		{ "chain@example.test", "", RESOLVE_OK }, /* of an alias */
		{ "group@example.test", "", RESOLVE_UNKNOWN },
		{ "group@example.test", "group@example.test", RESOLVE_OK },
		{ "group@example.test", "x@y.test,group@example.test", RESOLVE_OK },
		{ "sb@example.test", "", RESOLVE_UNKNOWN },
		{ "sf@example.test", "", RESOLVE_UNKNOWN }, /* forwards to sa */
		{ "circle@example.test", "", RESOLVE_UNKNOWN },
		{ "nobody@example.test", "", RESOLVE_UNKNOWN },
		{ "x@elsewhere.test", "", RESOLVE_UNKNOWN },
		{ "x@elsewhere.test", "@elsewhere.test", RESOLVE_OK },
		{ "x@notelsewhere.test", "@elsewhere.test", RESOLVE_UNKNOWN },
		{ "x@elsewhere.test", "xx@elsewhere.test", RESOLVE_UNKNOWN },
		{ "not an address", "@elsewhere.test", RESOLVE_UNKNOWN },
	};
	struct user u;

	add_user("sa@example.test");
	add_user("sb@example.test");
	add_user("sf@example.test");
	assert_int_equal(directory_user_get(d, "sf@example.test", &u), DIR_OK);
	strlcpy(u.forward, "sa@example.test", sizeof(u.forward));
	strlcpy(u.send_as, "@x.test,y@z.test", sizeof(u.send_as));
	strlcpy(u.apppass, "phone:imap:1:xyz", sizeof(u.apppass));
	u.limits.v[LIMIT_MESSAGES_DAY] = 7;
	u.limits.v[LIMIT_RECIPIENTS_DAY] = LIMIT_UNLIMITED;
	strlcpy(u.group, "staff", sizeof(u.group));
	strlcpy(u.suspect, "a reason of words", sizeof(u.suspect));
	assert_int_equal(directory_user_put(d, &u), DIR_OK);
	memset(&u, 0, sizeof(u));
	assert_int_equal(directory_user_get(d, "sf@example.test", &u), DIR_OK);
	assert_string_equal(u.send_as, "@x.test,y@z.test");
	assert_string_equal(u.apppass, "phone:imap:1:xyz");
	assert_int_equal(u.limits.v[LIMIT_MESSAGES_HOUR], LIMIT_INHERITED);
	assert_int_equal(u.limits.v[LIMIT_MESSAGES_DAY], 7);
	assert_true(u.limits.v[LIMIT_RECIPIENTS_DAY] == LIMIT_UNLIMITED);
	assert_string_equal(u.group, "staff");
	assert_string_equal(u.suspect, "a reason of words");
	directory_alias_put(d, "one@example.test", "sa@example.test");
	directory_alias_put(d, "chain@example.test", "one@example.test");
	directory_alias_put(d, "group@example.test", "sa@example.test sb@example.test");
	directory_alias_put(d, "circle@example.test", "circle@example.test");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (resolve_may_send_as(&r, "sa@example.test", rows[i].send_as,
			rows[i].sender) != rows[i].st)
			fail_msg("%s with %s", rows[i].sender, rows[i].send_as);
}

static void
groups(void **state)
{
	struct group g = { .name = "staff", .send_as = "@x.test" }, got;
	struct user u;

	g.limits.v[LIMIT_QUOTA] = 1 << 20;
	g.limits.v[LIMIT_SESSIONS] = LIMIT_UNLIMITED;
	assert_int_equal(directory_group_put(d, &g, 1), DIR_OK);
	assert_int_equal(directory_group_put(d, &g, 1), DIR_EXISTS);
	assert_int_equal(directory_group_put(d, &g, 0), DIR_OK);
	assert_int_equal(directory_group_get(d, "staff", &got), DIR_OK);
	assert_string_equal(got.send_as, "@x.test");
	assert_memory_equal(&got.limits, &g.limits, sizeof(g.limits));
	assert_int_equal(directory_group_get(d, "nobody", &got), DIR_NONE);
	add_user("member@example.test");
	assert_int_equal(directory_user_get(d, "member@example.test", &u), DIR_OK);
	strlcpy(u.group, "staff", sizeof(u.group));
	assert_int_equal(directory_user_put(d, &u), DIR_OK);
	assert_int_equal(directory_group_del(d, "staff"), DIR_BUSY);
	u.group[0] = '\0';
	assert_int_equal(directory_user_put(d, &u), DIR_OK);
	/* sf@example.test may be in it by now, from another test. */
	if (directory_user_get(d, "sf@example.test", &u) == DIR_OK) {
		u.group[0] = '\0';
		assert_int_equal(directory_user_put(d, &u), DIR_OK);
	}
	assert_int_equal(directory_group_del(d, "staff"), DIR_OK);
	assert_int_equal(directory_group_del(d, "staff"), DIR_NONE);
	assert_false(group_name_valid(""));
	assert_false(group_name_valid("Big"));
	assert_false(group_name_valid("a b"));
	/* What an earlier version wrote: 0 is inherited. */
	assert_int_equal(user_decode("a@b.test",
			     "mailbox=x/y\nuid=1\nquota=0\nmessages-hour=0\n"
			     "messages-day=4294967295\n",
			     &u),
	    0);
	assert_int_equal(u.limits.v[LIMIT_QUOTA], LIMIT_INHERITED);
	assert_int_equal(u.limits.v[LIMIT_MESSAGES_HOUR], LIMIT_INHERITED);
	assert_int_equal(u.limits.v[LIMIT_MESSAGES_DAY], UINT32_MAX);
}

#define FP(c) #c "000000000000000000000000000000000000000000000000000000000000000"

static void
certificates_follow_their_account(void **state)
{
	char value[CERT_VALUE_MAX + 1];

	add_user("ca@example.test");
	add_user("cb@example.test");
	assert_int_equal(
	    directory_cert_put(d, FP(1), "ca@example.test laptop 5"), DIR_OK);
	assert_int_equal(
	    directory_cert_put(d, FP(1), "cb@example.test other 6"), DIR_EXISTS);
	assert_int_equal(directory_cert_put(d, FP(2), "cb@example.test phone 7"), DIR_OK);
	assert_int_equal(directory_cert_put(d, FP(3), "ca@example.test phone 8"), DIR_OK);
	assert_int_equal(
	    directory_user_rename(d, "ca@example.test", "cc.longer@example.test"),
	    DIR_OK);
	assert_int_equal(directory_cert_get(d, FP(1), value, sizeof(value)), DIR_OK);
	assert_string_equal(value, "cc.longer@example.test laptop 5");
	assert_int_equal(directory_cert_get(d, FP(3), value, sizeof(value)), DIR_OK);
	assert_string_equal(value, "cc.longer@example.test phone 8");
	assert_int_equal(directory_cert_get(d, FP(2), value, sizeof(value)), DIR_OK);
	assert_string_equal(value, "cb@example.test phone 7");
	/* Who gets the name later does not inherit the keys. */
	assert_int_equal(directory_user_del(d, "cc.longer@example.test"), DIR_OK);
	assert_int_equal(directory_cert_get(d, FP(1), value, sizeof(value)), DIR_NONE);
	assert_int_equal(directory_cert_get(d, FP(3), value, sizeof(value)), DIR_NONE);
	assert_int_equal(directory_cert_get(d, FP(2), value, sizeof(value)), DIR_OK);
	assert_int_equal(directory_cert_del(d, FP(2)), DIR_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { T(send_as), T(groups),
		T(certificates_follow_their_account), T(domains), T(users_and_uids),
		T(rename_keeps_the_record), T(mailbox_paths_are_safe),
		T(routes_most_specific_first), T(classes), T(expansion), T(many),
		T(logins) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
