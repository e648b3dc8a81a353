/* SPDX-License-Identifier: ISC */
/* The store: folders, messages, flags, what other programs do, reopening. */
#include "regress/unit/mailbox/fixture.h"

static int
setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	box_make(b);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	box_remove(*state);
	free(*state);
	return 0;
}

static void
test_append_and_reopen(void **state)
{
	struct store *s = box_open(*state);
	struct folder *f;
	uint32_t validity;

	assert_int_equal(folder_open(s, "inbox", &f), STORE_OK);
	assert_string_equal(folder_name(f), "INBOX");
	validity = folder_uidvalidity(f);
	assert_int_equal(put(f, "one\r\n", FLAG_SEEN), 1);
	assert_int_equal(put(f, "two\n\rbare\n", 0), 2);
	assert_int_equal(folder_count(f), 2);
	assert_int_equal(folder_unseen(f), 1);
	assert_int_equal(folder_take_recent(f), 2);
	assert_int_equal(folder_take_recent(f), 0);
	assert_content(f, 2, "two\n\rbare\n");
	assert_int_equal(store_used(s), 15);
	folder_close(f);
	store_close(s);

	s = box_open(*state);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_int_equal(folder_uidvalidity(f), validity);
	assert_int_equal(folder_count(f), 2);
	assert_int_equal(folder_uidnext(f), 3);
	assert_int_equal(folder_message(f, 0)->flags, FLAG_SEEN);
	assert_int_equal(folder_take_recent(f), 0);
	assert_content(f, 1, "one\r\n");
	assert_content(f, 2, "two\n\rbare\n");
	folder_close(f);
	store_close(s);
}

/* Read or mapped; and as it is in the file, when that is not as long as it was. */
static void
test_content_of_any_size(void **state)
{
	static const size_t sizes[] = { 1, 4095, 4096, 128 * 1024, 128 * 1024 + 1,
		300000 };
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder *f;
	char *text = malloc(300001), path[640];
	FILE *fp;

	assert_non_null(text);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(text, 'a' + (int)i, sizes[i]);
		text[sizes[i]] = '\0';
		assert_int_equal(put(f, text, 0), i + 1);
		assert_content(f, i + 1, text);
	}
	for (uint32_t uid = 2; uid <= 5; uid += 3) {
		file_of(b, "Maildir/cur", uid, path, sizeof(path));
		for (int i = 0; i < 3; i++) {
			static const char *const now[] = { "short", "", "\r\n" };

			fp = fopen(path, i == 2 ? "a" : "w");
			assert_non_null(fp);
			fputs(now[i], fp);
			fclose(fp);
			assert_content(f, uid, now[i]);
		}
		fp = fopen(path, "w");
		assert_non_null(fp);
		memset(text, 'b', 5000);
		text[5000] = '\0';
		fputs(text, fp);
		fclose(fp);
		assert_content(f, uid, text);
	}
	free(text);
	folder_close(f);
	store_close(s);
}

static void
test_flags_to_names_and_back(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder *f;
	uint32_t uid = 1;
	size_t changed;
	char path[600], to[640];
	int kw;

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	put(f, "x\r\n", 0);
	kw = folder_keyword_find(f, "$Label1", 7, 1);
	assert_int_equal(kw, 0);
	assert_int_equal(folder_store(f, &uid, 1, FLAG_OP_ADD, FLAG_SEEN | FLAG_FLAGGED,
			     1, 0, NULL, NULL, &changed),
	    STORE_OK);
	assert_int_equal(changed, 1);
	assert_int_equal(
	    folder_store(f, &uid, 1, FLAG_OP_ADD, FLAG_SEEN, 0, 0, NULL, NULL, &changed),
	    STORE_OK);
	assert_int_equal(changed, 0);
	store_flush(s);
	file_of(b, "Maildir/cur", 1, path, sizeof(path));
	assert_non_null(strstr(path, ":2,FSa"));
	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_message(f, 0)->keywords, 1);
	/* Another program takes \Flagged away. */
	snprintf(to, sizeof(to), "%.*s:2,RSa", (int)(strstr(path, ":2,") - path), path);
	usleep(25000);
	assert_int_equal(rename(path, to), 0);
	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_count(f), 1);
	assert_int_equal(folder_message(f, 0)->flags, FLAG_SEEN | FLAG_ANSWERED);
	assert_int_equal(folder_message(f, 0)->keywords, 1);
	assert_content(f, 1, "x\r\n");
	folder_close(f);
	store_close(s);
}

static void
test_other_programs(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder *f;
	char path[600];
	size_t i;

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	put(f, "ours\r\n", 0);
	write_file(b, "Maildir/new/1700000000.M1P1.other", "Subject: a\n\nbody\n");
	write_file(b, "Maildir/cur/1700000001.M1P1.other,S=6:2,S", "X\r\nY\r\n");
	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_count(f), 3);
	/* In order of their names. */
	assert_content(f, 2, "Subject: a\r\n\r\nbody\r\n");
	assert_int_equal(folder_message(f, 1)->size, 20);
	assert_true(folder_message(f, 1)->recent);
	assert_content(f, 3, "X\r\nY\r\n");
	assert_int_equal(folder_message(f, 2)->flags, FLAG_SEEN);
	usleep(25000);
	file_of(b, "Maildir/cur", 3, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	file_of(b, "Maildir/cur", 2, path, sizeof(path));
	assert_non_null(strstr(path, ",W=20,"));
	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_count(f), 2);
	i = folder_find(f, 3, NULL);
	assert_int_equal(i, 2);
	folder_close(f);
	store_close(s);
}

static void
test_index_lost(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder *f;
	uint32_t validity, uids[] = { 2 }, uid = 1;
	uint64_t modseq;
	char cmd[200];

	assert_int_equal(store_create(s, "a/b", FOLDER_ARCHIVE), STORE_OK);
	assert_int_equal(folder_open(s, "a/b", &f), STORE_OK);
	validity = folder_uidvalidity(f);
	assert_int_equal(folder_keyword_find(f, "tag", 3, 1), 0);
	for (int i = 0; i < 5; i++)
		put(f, "text\r\n", 0);
	assert_int_equal(
	    folder_store(f, &uid, 1, FLAG_OP_SET, FLAG_DRAFT, 1, 0, NULL, NULL, NULL),
	    STORE_OK);
	assert_int_equal(folder_expunge(f, uids, 1, 1, NULL), STORE_OK);
	modseq = folder_highestmodseq(f);
	folder_close(f);
	store_close(s);
	snprintf(cmd, sizeof(cmd), "rm -rf %s/index", b->dir);
	assert_int_equal(system(cmd), 0);

	s = box_open(b);
	assert_int_equal(folder_open(s, "a/b", &f), STORE_OK);
	assert_int_equal(folder_uidvalidity(f), validity);
	assert_int_equal(folder_count(f), 4);
	assert_int_equal(folder_message(f, 0)->uid, 1);
	assert_int_equal(folder_message(f, 0)->flags, FLAG_DRAFT);
	assert_int_equal(folder_message(f, 0)->keywords, 1);
	assert_string_equal(folder_keyword(f, 0), "tag");
	assert_int_equal(folder_message(f, 1)->uid, 3);
	assert_true(folder_uidnext(f) >= 6);
	assert_true(folder_highestmodseq(f) >= modseq);
	folder_close(f);
	store_close(s);
	/* Garbage instead of an index. */
	write_file(b, "index/data.mdb", "this is no index, and never was one");
	s = box_open(b);
	assert_int_equal(folder_open(s, "a/b", &f), STORE_OK);
	assert_int_equal(folder_uidvalidity(f), validity);
	assert_int_equal(folder_count(f), 4);
	assert_int_equal(folder_message(f, 3)->uid, 5);
	folder_close(f);
	store_close(s);
}

static void
expunged(uint32_t uid, void *arg)
{
	uint32_t *sum = arg;

	*sum += uid;
}

static void
watch_cb(struct folder *f, void *arg)
{
	++*(int *)arg;
}

static void
test_expunge_and_watch(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder *f, *g;
	struct folder_watch *w;
	uint32_t uids[] = { 1, 2, 3, 9 }, failed[4], sum = 0;
	size_t n, n_failed;
	uint64_t modseq;
	int calls = 0;
	char path[600];

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_int_equal(folder_open(s, "INBOX", &g), STORE_OK);
	assert_ptr_equal(f, g);
	w = folder_watch(g, watch_cb, &calls);
	for (int i = 0; i < 4; i++)
		put(f, "m\r\n", 0);
	assert_int_equal(calls, 4);
	modseq = folder_message(f, 1)->modseq;
	assert_int_equal(folder_store(f, uids, 4, FLAG_OP_ADD, FLAG_DELETED, 0, modseq,
			     failed, &n_failed, &n),
	    STORE_OK);
	assert_int_equal(n, 2);
	assert_int_equal(n_failed, 1);
	assert_int_equal(failed[0], 3);
	modseq = folder_highestmodseq(f);
	assert_int_equal(folder_expunge(f, uids, 4, 0, &n), STORE_OK);
	assert_int_equal(n, 2);
	assert_int_equal(folder_count(f), 2);
	folder_expunged_since(g, modseq, expunged, &sum);
	assert_int_equal(sum, 3);
	assert_int_equal(
	    folder_store(f, uids, 4, FLAG_OP_ADD, FLAG_SEEN, 0, 0, NULL, NULL, &n),
	    STORE_OK);
	assert_int_equal(n, 1);
	folder_unwatch(w);
	folder_close(g);
	store_flush(s);
	file_of(b, "Maildir/cur", 1, path, sizeof(path));
	assert_string_equal(path, "");
	folder_close(f);
	store_close(s);
	s = box_open(b);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_int_equal(folder_count(f), 2);
	assert_int_equal(folder_uidnext(f), 5);
	folder_close(f);
	store_close(s);
}

static const struct folder_info *
find(const struct folder_info *l, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(l[i].name, name) == 0)
			return &l[i];
	return NULL;
}

static void
test_folders(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder_info *l;
	struct folder *f;
	uint32_t validity;
	size_t n;

	assert_int_equal(store_create(s, "INBOX", 0), STORE_EXISTS);
	assert_int_equal(store_create(s, "a//b", 0), STORE_BAD_NAME);
	assert_int_equal(store_create(s, "", 0), STORE_BAD_NAME);
	assert_int_equal(store_create(s, "x\n", 0), STORE_BAD_NAME);
	assert_int_equal(store_create(s, "\xff", 0), STORE_BAD_NAME);
	assert_int_equal(
	    store_create(s, "Projekte/v1.2/\xc3\x84rger & mehr", 0), STORE_OK);
	assert_int_equal(store_create(s, "..", 0), STORE_OK);
	assert_int_equal(store_create(s, "Sent", FOLDER_SENT), STORE_OK);
	assert_int_equal(store_create(s, "inbox/sub", 0), STORE_OK);
	assert_int_equal(store_subscribe(s, "Sent", 1), STORE_OK);
	assert_int_equal(store_subscribe(s, "Gone", 1), STORE_OK);
	store_close(s);
	s = box_open(b);
	assert_int_equal(store_list(s, &l, &n), STORE_OK);
	assert_string_equal(l[0].name, "INBOX");
	assert_int_equal(l[0].flags, FOLDER_HAS_CHILDREN);
	assert_int_equal(find(l, n, "Projekte")->flags, FOLDER_HAS_CHILDREN);
	assert_int_equal(find(l, n, "Projekte/v1.2")->flags, FOLDER_HAS_CHILDREN);
	assert_int_equal(find(l, n, "Projekte/v1.2/\xc3\x84rger & mehr")->flags, 0);
	assert_int_equal(find(l, n, "..")->flags, 0);
	assert_int_equal(find(l, n, "Sent")->flags, FOLDER_SENT | FOLDER_SUBSCRIBED);
	assert_int_equal(find(l, n, "Gone")->flags, FOLDER_NOSELECT | FOLDER_SUBSCRIBED);
	assert_non_null(find(l, n, "INBOX/sub"));
	free(l);

	assert_int_equal(folder_open(s, "Projekte/v1.2", &f), STORE_OK);
	put(f, "here\r\n", 0);
	assert_int_equal(store_rename(s, "Projekte", "Projekte/tiefer"), STORE_BAD_NAME);
	assert_int_equal(store_rename(s, "Projekte", "Sent"), STORE_EXISTS);
	assert_int_equal(store_rename(s, "Projekte", "Alt/Projekte"), STORE_OK);
	assert_string_equal(folder_name(f), "Alt/Projekte/v1.2");
	assert_content(f, 1, "here\r\n");
	validity = folder_uidvalidity(f);
	folder_close(f);
	/* A parent that goes leaves its name. */
	assert_int_equal(store_delete(s, "Alt/Projekte/v1.2"), STORE_OK);
	assert_int_equal(store_delete(s, "Alt/Projekte/v1.2"), STORE_HAS_CHILDREN);
	assert_int_equal(folder_open(s, "Alt/Projekte/v1.2", &f), STORE_NOT_FOUND);
	assert_int_equal(store_create(s, "Alt/Projekte/v1.2", 0), STORE_OK);
	assert_int_equal(folder_open(s, "Alt/Projekte/v1.2", &f), STORE_OK);
	assert_true(folder_uidvalidity(f) > validity);
	assert_int_equal(folder_count(f), 0);
	assert_int_equal(store_delete(s, "Alt/Projekte/v1.2"), STORE_OK);
	assert_int_equal(folder_refresh(f), STORE_NOT_FOUND);
	folder_close(f);
	assert_int_equal(store_delete(s, "INBOX"), STORE_BAD_NAME);
	store_flush(s);
	store_close(s);
}

static void
test_rename_inbox(void **state)
{
	struct store *s = box_open(*state);
	struct folder *f;

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	put(f, "a\r\n", FLAG_SEEN);
	put(f, "b\r\n", 0);
	assert_int_equal(store_rename(s, "INBOX", "Old"), STORE_OK);
	assert_int_equal(folder_count(f), 0);
	folder_close(f);
	assert_int_equal(folder_open(s, "Old", &f), STORE_OK);
	assert_int_equal(folder_count(f), 2);
	assert_int_equal(folder_message(f, 0)->flags, FLAG_SEEN);
	assert_content(f, 2, "b\r\n");
	folder_close(f);
	store_close(s);
}

static void
test_copy(void **state)
{
	struct store *s = box_open(*state);
	struct folder *f, *g;
	uint32_t uids[20], new_uids[20];
	uint32_t uid = 1;

	assert_int_equal(store_create(s, "T", 0), STORE_OK);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_int_equal(folder_open(s, "T", &g), STORE_OK);
	for (uint32_t i = 0; i < 20; i++)
		uids[i] = i < 19 ? put(f, i % 2 ? "odd\r\n" : "even\r\n", FLAG_SEEN) : 77;
	assert_int_equal(folder_keyword_find(g, "first", 5, 1), 0);
	assert_int_equal(folder_keyword_find(f, "k", 1, 1), 0);
	assert_int_equal(
	    folder_store(f, &uid, 1, FLAG_OP_ADD, 0, 1, 0, NULL, NULL, NULL), STORE_OK);
	assert_int_equal(folder_copy(f, uids, 2, g, new_uids), STORE_OK);
	assert_int_equal(new_uids[0], 1);
	assert_int_equal(folder_copy(f, uids, 20, g, new_uids), STORE_OK);
	assert_int_equal(new_uids[0], 3);
	assert_int_equal(new_uids[19], 0);
	assert_int_equal(folder_count(g), 21);
	assert_int_equal(folder_message(g, 0)->keywords, 2);
	assert_string_equal(folder_keyword(g, 1), "k");
	assert_content(g, 4, "odd\r\n");
	/* Into itself. */
	assert_int_equal(folder_copy(f, uids, 1, f, new_uids), STORE_OK);
	assert_int_equal(new_uids[0], 20);
	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_count(f), 20);
	folder_close(f);
	folder_close(g);
	store_close(s);
}

static void
test_quota(void **state)
{
	struct box *b = *state;
	struct store *s;
	struct folder *f;
	struct append *a;
	uint32_t uid;

	assert_int_equal(store_open(b->fd, 10, &s), STORE_OK);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	put(f, "123456", 0);
	assert_int_equal(append_begin(f, 5, &a), STORE_FULL);
	assert_int_equal(append_begin(f, 0, &a), STORE_OK);
	assert_int_equal(append_write(a, "12345", 5), STORE_OK);
	assert_int_equal(append_commit(a, 0, 0, -1, &uid), STORE_FULL);
	assert_int_equal(folder_count(f), 1);
	folder_close(f);
	store_close(s);
}

/* Counted also while no folder is loaded, and after the messages went again. */
static void
test_quota_messages(void **state)
{
	struct box *b = *state;
	struct store *s;
	struct folder *f, *g;
	struct append *a;
	uint32_t uids[2] = { 1, 2 }, new_uids[2], uid;

	assert_int_equal(store_open(b->fd, 0, &s), STORE_OK);
	store_set_quota(s, 0, 3);
	assert_int_equal(store_quota_messages(s), 3);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	put(f, "1", 0);
	put(f, "2", 0);
	assert_int_equal(store_create(s, "T", 0), STORE_OK);
	assert_int_equal(folder_open(s, "T", &g), STORE_OK);
	assert_int_equal(folder_copy(f, uids, 2, g, new_uids), STORE_FULL);
	assert_int_equal(folder_copy(f, uids, 1, g, new_uids), STORE_OK);
	assert_int_equal(append_begin(f, 1, &a), STORE_FULL);
	assert_int_equal(store_messages(s), 3);
	folder_close(g);
	folder_close(f);
	store_close(s);
	assert_int_equal(store_open(b->fd, 0, &s), STORE_OK);
	store_set_quota(s, 0, 3);
	assert_int_equal(store_messages(s), 3);
	assert_false(store_has_room(s, 0, 1));
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_int_equal(folder_expunge(f, uids, 1, 1, NULL), STORE_OK);
	assert_int_equal(store_messages(s), 2);
	assert_int_equal(append_begin(f, 1, &a), STORE_OK);
	assert_int_equal(append_write(a, "3", 1), STORE_OK);
	assert_int_equal(append_commit(a, 0, 0, -1, &uid), STORE_OK);
	assert_int_equal(store_messages(s), 3);
	folder_close(f);
	store_close(s);
}

static void
test_cache(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder *f;
	const uint8_t *p;
	size_t len;

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	put(f, "m", 0);
	assert_int_equal(folder_cache_get(f, 1, 1, &p, &len), -1);
	folder_cache_put(f, 1, 1, (const uint8_t *)"env", 3);
	folder_cache_put(f, 1, 2, (const uint8_t *)"body", 4);
	assert_int_equal(folder_cache_get(f, 1, 1, &p, &len), 0);
	folder_close(f);
	store_close(s);
	s = box_open(b);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_int_equal(folder_cache_get(f, 1, 2, &p, &len), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(p, "body", 4);
	assert_int_equal(folder_cache_get(f, 1, 3, &p, &len), -1);
	folder_close(f);
	store_close(s);
}

static void
test_lock(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b), *other;

	assert_int_equal(store_open(b->fd, 0, &other), STORE_IO);
	assert_null(other);
	store_close(s);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_append_and_reopen),
		T(test_content_of_any_size),
		T(test_flags_to_names_and_back),
		T(test_other_programs),
		T(test_index_lost),
		T(test_expunge_and_watch),
		T(test_folders),
		T(test_rename_inbox),
		T(test_copy),
		T(test_quota),
		T(test_quota_messages),
		T(test_cache),
		T(test_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
