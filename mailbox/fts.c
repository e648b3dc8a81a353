/* SPDX-License-Identifier: ISC */
/* Search indexes of the store's folders; see fts.h. */
#include "mailbox/fts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/proto/header.h"
#include "mailbox/fts_grams.h"
#include "mailbox/fts_index.h"
#include "mailbox/fts_text.h"
#include "mailbox/imap_search.h"
#include "mailbox/store_int.h"

#define PREFIX "search-"
#define NAME_SIZE (sizeof(PREFIX) + FOLDER_ID_LEN)
#define RETRY_S 60 /* after a failure */
#define IDLE_S 120 /* unused for so long: closed */
#define SLICE_MS 10
#define BEHIND 32        /* so many new messages are worth opening the index unasked */
#define SLICE_LOOK 20000 /* messages looked at in a slice */

_Static_assert(FTS_ID_LEN == FOLDER_ID_LEN, "folders are known by their mailboxid");

/* What a folder has of it, from its first use. */
struct folder_fts {
	struct fts_index *index;
	bool touched;    /* used since the timer looked */
	bool absent;     /* there is no file, and none is wanted yet */
	int64_t failed;  /* when; 0: not */
	int64_t used;    /* monotonic seconds */
	uint64_t modseq; /* when the timer looked */
	uint32_t done;   /* messages below this UID were looked at by the timer */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void
index_file(const struct folder *f, char out[NAME_SIZE])
{
	(void)snprintf(out, NAME_SIZE, PREFIX "%s", f->mailbox_id);
}

static bool
is_live(uint32_t uid, void *arg)
{
	int exact;

	(void)folder_find(arg, uid, &exact);
	return exact;
}

/* NULL: there is none. */
static struct fts_index *
index_of(struct folder *f, bool create)
{
	struct folder_fts *t = f->fts;
	char name[NAME_SIZE];
	int64_t now = now_ms() / 1000;

	if (f->detached || strlen(f->mailbox_id) != FOLDER_ID_LEN)
		return NULL;
	if (t == NULL && (t = f->fts = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->used = now;
	if (t->index != NULL)
		return t->index;
	if ((t->absent && !create) || (t->failed != 0 && now - t->failed < RETRY_S))
		return NULL;
	index_file(f, name);
	t->absent = false;
	t->failed = 0;
	if (fts_index_open(f->store->indexfd, name, f->mailbox_id, f->uidvalidity, create,
		&t->index) == 0)
		return t->index;
	if (errno == ENOENT && !create)
		t->absent = true;
	else {
		log_warn("%s: search index", f->name);
		t->failed = now + 1;
	}
	return NULL;
}

struct fts_query *
fts_query_new(const char *text, size_t len)
{
	struct fts_query *q = malloc(sizeof(*q));

	if (q != NULL)
		fts_query_init(q, text, len);
	return q;
}

bool
fts_rules_out(struct folder *f, const struct message *m, const struct fts_query *q)
{
	struct fts_index *x = NULL;

	if (q == NULL || q->n == 0)
		return false;
	/* Without the clock: this is asked for each message. */
	if (f->fts != NULL)
		x = f->fts->index;
	if (x == NULL || f->detached)
		x = index_of(f, false);
	else
		f->fts->touched = true;
	return x != NULL && fts_index_rules_out(x, m->uid, m->size, q);
}

/* ---- learning ---- */

struct learner {
	struct fts_grams grams;
	char folded[IMAP_FOLD_SIZE(FTS_PIECE_MAX)];
	bool space;
};

static void
learner_restart(void *arg)
{
	struct learner *l = arg;

	fts_grams_restart(&l->grams);
	l->space = false;
}

static bool
learner_feed(void *arg, const char *s, size_t len)
{
	struct learner *l = arg;

	fts_grams_add(&l->grams, l->folded, imap_fold(s, len, l->folded, &l->space));
	return !l->grams.full;
}

/* Kept for the next message: a set is dear to make. */
static struct learner *
learner_get(void)
{
	static struct learner *kept;

	if (kept == NULL && (kept = malloc(sizeof(*kept))) != NULL)
		fts_grams_init(&kept->grams);
	if (kept != NULL) {
		fts_grams_reset(&kept->grams);
		kept->space = false;
	}
	return kept;
}

size_t
fts_learn(struct folder *f, const struct message *m, const char *msg, size_t len,
    const struct mime_tree *tree)
{
	struct fts_index *x = index_of(f, true);
	size_t header = header_section_len(msg, len);
	struct learner *l;
	struct fts_sink sink = { learner_restart, learner_feed, NULL };
	uint64_t *words = NULL;
	size_t n;

	if (x == NULL || tree->nparts == 0 || fts_index_has(x, m->uid, m->size) ||
	    (l = learner_get()) == NULL)
		return 0;
	sink.arg = l;
	n = 0;
	/* Where a header ends must be clear, or one side sees what the other does not. */
	if (header <= tree->parts[0].body_off &&
	    fts_text_message(&sink, msg, len, tree, true) &&
	    fts_text_addresses(&sink, msg, header, NULL))
		n = fts_grams_words(&l->grams);
	if (n > 0 && (words = malloc(n * sizeof(*words))) == NULL)
		return len;
	if (n > 0)
		fts_grams_sign(&l->grams, words, n);
	if (fts_index_add(x, m->uid, m->size, words, n) == -1) {
		fts_index_close(x);
		f->fts->index = NULL;
		f->fts->failed = now_ms() / 1000 + 1;
	}
	free(words);
	return len;
}

/* ---- by the timer ---- */

static void
learn_message(struct folder *f, const struct message *from)
{
	struct message m = *from;
	struct mime_tree *tree;
	struct content c;

	if (folder_content(f, m.uid, &c) != STORE_OK)
		return;
	if ((tree = mime_parse((const char *)c.data, c.len, NULL)) != NULL)
		(void)fts_learn(f, &m, (const char *)c.data, c.len, tree);
	mime_free(tree);
	content_release(&c);
}

/* What came since the last search, until the time is over. Nonzero: there is more. */
static int
catch_up(struct folder *f, int64_t until)
{
	struct folder_fts *t = f->fts;
	size_t i = folder_find(f, t->done, NULL), looked = 0;

	for (; i < folder_count(f); i = folder_find(f, t->done, NULL)) {
		const struct message *m = folder_message(f, i);
		uint32_t uid = m->uid;

		if (t->index == NULL)
			return 0;
		if (looked++ >= SLICE_LOOK || now_ms() >= until)
			return 1;
		if (!fts_index_has(t->index, uid, m->size))
			learn_message(f, m);
		if (uid == UINT32_MAX)
			break;
		t->done = uid + 1;
	}
	return 0;
}

static void
compact(struct folder *f)
{
	struct folder_fts *t = f->fts;

	if (t->index == NULL || fts_index_count(t->index) < folder_count(f) * 2 ||
	    !fts_index_wasteful(t->index, is_live, f))
		return;
	if (fts_index_compact(t->index, is_live, f) == -1)
		log_warnx("%s: the search index cannot be made smaller", f->name);
}

static int
folder_work(struct folder *f, int64_t now, int64_t until)
{
	struct folder_fts *t = f->fts;
	int64_t used;
	int more = 0;

	if (t == NULL && (t = f->fts = calloc(1, sizeof(*t))) == NULL)
		return 0;
	if (t->touched)
		t->used = now / 1000;
	t->touched = false;
	if (t->modseq != f->modseq) {
		/* Something happens here: perhaps the next time. */
		t->modseq = f->modseq;
		return 0;
	}
	/* Only a session that has the folder open may ask soon. */
	if (t->index == NULL && !t->absent && f->refs > 0 &&
	    folder_count(f) - folder_find(f, t->done, NULL) >= BEHIND)
		(void)index_of(f, false);
	if (t->index == NULL)
		return 0;
	used = t->used;
	more = catch_up(f, until);
	t->used = used;
	if (more || t->index == NULL)
		return more;
	if (fts_index_pending(t->index) && fts_index_write(t->index) == -1)
		t->failed = now / 1000 + 1;
	if (t->failed == 0 && now / 1000 - used < IDLE_S)
		return 0;
	compact(f);
	fts_index_close(t->index);
	t->index = NULL;
	return 0;
}

/* Files of folders that are not there any more. */
static void
sweep(struct store *s)
{
	int fd = openat(s->indexfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		bool known = strncmp(e->d_name, PREFIX, sizeof(PREFIX) - 1) != 0;

		for (size_t i = 0; i < s->n_folders && !known; i++)
			known = strcmp(e->d_name + sizeof(PREFIX) - 1,
				    s->folders[i]->mailbox_id) == 0;
		if (!known)
			(void)unlinkat(s->indexfd, e->d_name, 0);
	}
	closedir(d);
}

int
fts_work(struct store *s)
{
	int64_t now = now_ms();
	int more = 0;

	if (!s->fts_swept) {
		s->fts_swept = true;
		sweep(s);
	}
	for (size_t i = 0; i < s->n_folders && !more; i++)
		if (s->folders[i]->loaded && !s->folders[i]->gone)
			more = folder_work(s->folders[i], now, now + SLICE_MS);
	return more;
}

void
fts_close(struct folder *f)
{
	if (f->fts == NULL)
		return;
	fts_index_close(f->fts->index);
	free(f->fts);
	f->fts = NULL;
}

void
fts_remove(struct folder *f)
{
	char name[NAME_SIZE];

	fts_close(f);
	if (strlen(f->mailbox_id) != FOLDER_ID_LEN)
		return;
	index_file(f, name);
	(void)unlinkat(f->store->indexfd, name, 0);
}
