/* SPDX-License-Identifier: ISC */
/*
 * kill -9 at every call that changes something: a child does one thing after the other,
 * and is killed as it enters the k-th such call, for each k. What is found afterwards is
 * the state before or after the thing that was under way: nothing that was answered is
 * lost, and no UID is given to another message.
 */
#ifdef __linux__
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <linux/ptrace.h>
#include <signal.h>

#include "mailbox/imap_fetch.h"
#include "regress/unit/mailbox/fixture.h"

#define STEPS 26
#define DUMP 4096

struct shared {
	volatile int done; /* things that were answered */
};

struct life {
	char dumps[STEPS + 1][DUMP]; /* after so many things */
	uint32_t highest[STEPS + 1]; /* UID in INBOX */
};

static struct shared *sh;
static struct life plain;

/* ---- the things ---- */

static void
need(enum store_error e)
{
	if (e != STORE_OK)
		_exit(3);
}

static uint32_t
add(struct store *s, const char *folder, const char *text, uint8_t flags)
{
	struct append *a;
	struct folder *f;
	uint32_t uid;

	need(folder_open(s, folder, &f));
	need(append_begin(f, strlen(text), &a));
	need(append_write(a, text, strlen(text)));
	need(append_commit(a, flags, 0, -1, &uid));
	folder_close(f);
	return uid;
}

static void
add_two(struct store *s, const char *folder, const char *a, const char *b)
{
	struct folder *f;

	need(folder_open(s, folder, &f));
	need(folder_batch_begin(f, 2));
	(void)add(s, folder, a, 0);
	(void)add(s, folder, b, 0);
	need(folder_batch_end(f));
	folder_close(f);
}

static void
mark(struct store *s, const char *folder, const uint32_t *uids, size_t n, uint8_t flags)
{
	struct folder *f;

	need(folder_open(s, folder, &f));
	need(folder_store(f, uids, n, FLAG_OP_ADD, flags, 0, 0, NULL, NULL, NULL));
	folder_close(f);
}

static void
copy(struct store *s, const char *from, const uint32_t *uids, size_t n, const char *to)
{
	struct folder *f, *g;
	uint32_t new[8];

	need(folder_open(s, from, &f));
	need(folder_open(s, to, &g));
	need(folder_copy(f, uids, n, g, new));
	folder_close(f);
	folder_close(g);
}

static void
move(struct store *s, const char *from, const uint32_t *uids, size_t n, const char *to)
{
	struct folder *f, *g;
	uint32_t new[8];

	need(folder_open(s, from, &f));
	need(folder_open(s, to, &g));
	need(folder_move(f, uids, n, g, new, UINT8_MAX, 1));
	folder_close(f);
	folder_close(g);
}

static void
expunge(struct store *s, const char *folder, const uint32_t *uids, size_t n, int any)
{
	struct folder *f;

	need(folder_open(s, folder, &f));
	need(folder_expunge(f, uids, n, any, NULL));
	folder_close(f);
}

static void
deliver(struct store *s, const char *folder, uint64_t id)
{
	static const char text[] = "Subject: delivered\r\n\r\ntext\r\n";
	struct delivery d = {
		.queue_id = id, .size = sizeof(text) - 1, .oldest_live = 1
	};
	int fd = memfd_create("content", 0), again;

	if (fd == -1 || write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1)
		_exit(3);
	need(store_deliver(s, folder, &d, "Return-Path: <>\r\n", 17, fd, 0, &again));
	close(fd);
}

static void
step(struct store *s, int i)
{
	static const uint32_t all[] = { 1, 2, 3 }, one[] = { 1 }, three[] = { 3 },
			      two[] = { 4, 5 };

	switch (i) {
	case 0:
		(void)add(s, "INBOX", "Subject: 1\r\n\r\none\r\n", 0);
		break;
	case 1:
		(void)add(s, "INBOX", "Subject: 2\r\n\r\ntwo\r\n", FLAG_SEEN);
		break;
	case 2:
		(void)add(s, "INBOX", "Subject: 3\r\n\r\nthree\r\n", 0);
		break;
	case 3:
		need(store_create(s, "work", 0));
		break;
	case 4: /* all of them or none */
		copy(s, "INBOX", all, 2, "work");
		break;
	case 5:
		add_two(s, "INBOX", "Subject: 3a\r\n\r\nthree\r\n",
		    "Subject: 3b\r\n\r\nthree\r\n");
		break;
	case 6:
		mark(s, "INBOX", all, 3, FLAG_FLAGGED);
		break;
	case 7:
		store_flush(s);
		break;
	case 8:
		deliver(s, "INBOX", 100);
		break;
	case 9:
		move(s, "INBOX", three, 1, "work");
		break;
	case 10:
		move(s, "INBOX", two, 2, "work");
		break;
	case 11:
		mark(s, "INBOX", one, 1, FLAG_DELETED);
		break;
	case 12:
		expunge(s, "INBOX", all, 3, 0);
		break;
	case 13:
		store_flush(s);
		break;
	case 14:
		mark(s, "work", all, 2, FLAG_ANSWERED);
		break;
	case 15:
		need(store_rename(s, "work", "play"));
		break;
	case 16:
		need(store_subscribe(s, "play", 1));
		break;
	case 17:
		mark(s, "play", three, 1, FLAG_DRAFT);
		break;
	case 18:
		(void)add(s, "play", "Subject: 4\r\n\r\nfour\r\n", 0);
		break;
	case 19:
		need(store_create(s, "play/inner", 0));
		break;
	case 20:
		mark(s, "INBOX", all + 1, 1, FLAG_ANSWERED);
		break;
	case 21:
		need(store_delete(s, "play/inner"));
		break;
	case 22:
		need(store_create(s, "Junk", FOLDER_JUNK));
		break;
	case 23:
		deliver(s, "Junk", 101);
		break;
	case 24:
		need(store_delete(s, "play"));
		break;
	case 25:
		(void)add(s, "INBOX", "Subject: 5\r\n\r\nfive\r\n", FLAG_FLAGGED);
		break;
	}
}

/* ---- what is there ---- */

static void
dump(struct store *s, char *out, uint32_t *highest)
{
	struct folder_info *list;
	size_t n, len = 0;

	assert_int_equal(store_list(s, &list, &n), STORE_OK);
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		struct folder *f;

		len += (size_t)snprintf(out + len, DUMP - len, "%s%s:", list[i].name,
		    list[i].flags & FOLDER_SUBSCRIBED ? "+" : "");
		if (list[i].flags & FOLDER_NOSELECT) {
			len += (size_t)snprintf(out + len, DUMP - len, "\n");
			continue;
		}
		assert_int_equal(folder_open(s, list[i].name, &f), STORE_OK);
		for (size_t k = 0; k < folder_count(f); k++) {
			const struct message m = *folder_message(f, k);
			struct content c;

			assert_int_equal(folder_content(f, m.uid, &c), STORE_OK);
			len +=
			    (size_t)snprintf(out + len, DUMP - len, " %u/%02x/%zu/%.*s",
				m.uid, m.flags, c.len, 11, (const char *)c.data);
			content_release(&c);
			if (strcmp(list[i].name, "INBOX") == 0 && m.uid > *highest)
				*highest = m.uid;
		}
		len += (size_t)snprintf(out + len, DUMP - len, "\n");
		assert_true(len < DUMP);
		folder_close(f);
	}
	free(list);
}

/* ---- a life ---- */

static int
changes(uint64_t call)
{
	switch (call) {
	case SYS_write:
	case SYS_writev:
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_openat:
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_linkat:
	case SYS_unlinkat:
	case SYS_mkdirat:
	case SYS_ftruncate:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_syncfs:
	case SYS_msync:
	case SYS_futex: /* the end of a thing, as it happens */
		return 1;
#ifdef SYS_rename
	case SYS_rename:
	case SYS_mkdir:
	case SYS_unlink:
		return 1;
#endif
	default:
		return 0;
	}
}

static void
child(struct box *b)
{
	struct store *s;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
		_exit(4);
	raise(SIGSTOP);
	index_eager_max = 0;
	need(store_open(b->fd, 0, &s));
	for (int i = 0; i < STEPS; i++) {
		step(s, i);
		sh->done = i + 1;
	}
	store_close(s);
	_exit(0);
}

/* In memory where that can be: nothing here is about the disk. */
static void
make_box(struct box *b)
{
	strcpy(b->dir, "/dev/shm/fife-killat-XXXXXX");
	if (mkdtemp(b->dir) == NULL) {
		box_make(b);
		return;
	}
	b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(b->fd, -1);
}

/* Killed at the k-th call. Returns 0 when it came to its end before. -1: not possible. */
static int
live(struct box *b, unsigned long k)
{
	struct __ptrace_syscall_info info;
	unsigned long seen = 0;
	int status;
	pid_t pid;

	sh->done = 0;
	if ((pid = fork()) == 0)
		child(b);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		return -1;
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
			     PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
	    0);
	for (int sig = 0;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return 0;
		}
		assert_true(WIFSTOPPED(status));
		sig = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
		if (sig != 0)
			continue;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) <=
		    0)
			return -1;
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes(info.entry.nr) ||
		    ++seen < k)
			continue;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return 1;
	}
}

static void
test_states(void **state)
{
	struct box b;
	struct store *s;

	make_box(&b);
	s = box_open(&b);
	dump(s, plain.dumps[0], &plain.highest[0]);
	for (int i = 0; i < STEPS; i++) {
		step(s, i);
		plain.highest[i + 1] = plain.highest[i];
		dump(s, plain.dumps[i + 1], &plain.highest[i + 1]);
	}
	store_close(s);
	box_remove(&b);
}

static void
test_every_call(void **state)
{
	static char found[DUMP];
	unsigned long k;

	for (k = 1;; k++) {
		uint32_t highest = 0, uid, ignored = 0;
		struct store *s;
		struct box b;
		int r, done, after;

		make_box(&b);
		r = live(&b, k);
		if (r == -1) {
			box_remove(&b);
			print_message("processes cannot be traced here\n");
			skip();
		}
		done = sh->done;
		after = done < STEPS ? done + 1 : done;
		s = box_open(&b);
		dump(s, found, &ignored);
		if (strcmp(found, plain.dumps[done]) != 0 &&
		    strcmp(found, plain.dumps[after]) != 0)
			fail_msg("killed at call %lu, in thing %d: found\n%s\nbefore:\n%s"
				 "\nafter:\n%s",
			    k, done, found, plain.dumps[done], plain.dumps[after]);
		highest = plain.highest[done];
		uid = add(s, "INBOX", "Subject: new\r\n\r\nnew\r\n", 0);
		if (uid <= highest || uid <= ignored)
			fail_msg("killed at call %lu: UID %u again", k, uid);
		store_close(s);
		/* And nothing of it comes up later. */
		s = box_open(&b);
		dump(s, found, &ignored);
		assert_int_equal(ignored, uid);
		store_close(s);
		box_remove(&b);
		if (r == 0)
			break;
	}
	print_message("killed at each of %lu calls\n", k - 1);
	assert_true(k > 100);
}

static int
setup(void **state)
{
	sh = mmap(
	    NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	store_set_learn(imap_learn);
	return sh == MAP_FAILED ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_every_call),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
#else
int
main(void)
{
	return 0;
}
#endif
