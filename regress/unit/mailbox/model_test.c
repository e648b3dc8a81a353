/* SPDX-License-Identifier: ISC */
/*
 * Random operations against a simple model of a folder, with everything that may come
 * between: reopening, loss of the index, kill -9 (a child does the work and is killed by
 * itself at a random moment after telling what was answered).
 */
#include <signal.h>
#include <sys/wait.h>

#include "regress/unit/mailbox/fixture.h"

#define MESSAGES_MAX 400

struct model_message {
	uint32_t uid;
	uint8_t flags;
	uint64_t keywords;
	unsigned int text;
};

struct model {
	struct model_message m[MESSAGES_MAX];
	size_t n;
	uint32_t uidnext; /* no UID below may be given again */
	uint32_t uidvalidity;
	unsigned int text;
};

static unsigned int seed;

static unsigned int
rnd(unsigned int n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

static void
text_of(unsigned int n, char *out, size_t cap)
{
	snprintf(out, cap, "Subject: %u\r\n\r\n%.*s\r\n", n, (int)(n % 40),
	    "0123456789012345678901234567890123456789");
}

static void
compare(struct folder *f, const struct model *m)
{
	char text[128];

	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_uidvalidity(f), m->uidvalidity);
	assert_true(folder_uidnext(f) >= m->uidnext);
	assert_int_equal(folder_count(f), m->n);
	for (size_t i = 0; i < m->n; i++) {
		const struct message *x = folder_message(f, i);

		assert_int_equal(x->uid, m->m[i].uid);
		assert_int_equal(x->flags, m->m[i].flags);
		assert_int_equal(x->keywords, m->m[i].keywords);
		if (rnd(10) == 0) {
			text_of(m->m[i].text, text, sizeof(text));
			assert_content(f, x->uid, text);
		}
	}
}

/* One operation on both. */
static void
step(struct store *s, struct folder *f, struct model *m)
{
	uint32_t uids[MESSAGES_MAX], new_uids[MESSAGES_MAX];
	char text[128];
	size_t n = 0, k, old = m->n;
	uint8_t flags = (uint8_t)rnd(32);
	uint64_t keywords = rnd(4) << 1;
	enum flag_op op = (enum flag_op)rnd(3);

	for (size_t i = 0; i < m->n; i++)
		if (rnd(4) == 0)
			uids[n++] = m->m[i].uid;
	switch (rnd(6)) {
	case 0:
	case 1:
		if (m->n == MESSAGES_MAX)
			break;
		text_of(++m->text, text, sizeof(text));
		m->m[m->n] =
		    (struct model_message){ put(f, text, flags), flags, 0, m->text };
		assert_true(m->m[m->n].uid >= m->uidnext);
		m->uidnext = m->m[m->n].uid + 1;
		m->n++;
		break;
	case 2:
		assert_int_equal(
		    folder_store(f, uids, n, op, flags, keywords, 0, NULL, NULL, &k),
		    STORE_OK);
		for (size_t i = 0, j = 0; i < m->n; i++) {
			if (j == n || m->m[i].uid != uids[j])
				continue;
			j++;
			if (op == FLAG_OP_SET) {
				m->m[i].flags = flags;
				m->m[i].keywords = keywords;
			} else if (op == FLAG_OP_ADD) {
				m->m[i].flags |= flags;
				m->m[i].keywords |= keywords;
			} else {
				m->m[i].flags &= (uint8_t)~flags;
				m->m[i].keywords &= ~keywords;
			}
		}
		break;
	case 3:
		n = n > 3 ? 3 : n;
		assert_int_equal(folder_expunge(f, uids, n, 1, &k), STORE_OK);
		assert_int_equal(k, n);
		k = 0;
		for (size_t i = 0, j = 0; i < m->n; i++) {
			if (j < n && m->m[i].uid == uids[j]) {
				j++;
				continue;
			}
			m->m[k++] = m->m[i];
		}
		m->n = k;
		break;
	case 4:
		n = n > 3 ? 3 : n;
		if (m->n + n > MESSAGES_MAX)
			break;
		assert_int_equal(folder_copy(f, uids, n, f, new_uids), STORE_OK);
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < old; j++)
				if (m->m[j].uid == uids[i]) {
					assert_true(new_uids[i] >= m->uidnext);
					m->m[m->n] = m->m[j];
					m->m[m->n++].uid = new_uids[i];
					m->uidnext = new_uids[i] + 1;
				}
		break;
	default:
		store_flush(s);
		break;
	}
}

static void
test_model(void **state)
{
	char cmd[200];

	for (unsigned int round = 1; round <= 6; round++) {
		struct model m = { .uidnext = 1 };
		struct folder *f;
		struct store *s;
		struct box b;

		seed = round * 7919;
		box_make(&b);
		s = box_open(&b);
		assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
		m.uidvalidity = folder_uidvalidity(f);
		for (int i = 0; i < 8; i++) {
			char name[2] = { (char)('a' + i), '\0' };

			assert_int_equal(folder_keyword_find(f, name, 1, 1), i);
		}
		for (int i = 0; i < 250; i++) {
			step(s, f, &m);
			if (rnd(25) != 0)
				continue;
			folder_close(f);
			store_close(s);
			if (rnd(3) == 0) {
				snprintf(cmd, sizeof(cmd), "rm -rf %s/index", b.dir);
				assert_int_equal(system(cmd), 0);
			}
			s = box_open(&b);
			assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
			compare(f, &m);
		}
		compare(f, &m);
		folder_close(f);
		store_close(s);
		box_remove(&b);
	}
}

/*
 * The child works on the model in shared memory: what it has there was answered. It dies
 * between two operations without any farewell.
 */
static void
test_killed(void **state)
{
	struct model m = { .uidnext = 1 };
	struct folder *f;
	struct store *s;
	struct box b;

	seed = 4711;
	box_make(&b);
	s = box_open(&b);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	m.uidvalidity = folder_uidvalidity(f);
	for (int i = 0; i < 8; i++) {
		char name[2] = { (char)('a' + i), '\0' };

		assert_int_equal(folder_keyword_find(f, name, 1, 1), i);
	}
	folder_close(f);
	store_close(s);
	for (int round = 0; round < 25; round++) {
		unsigned int steps = 1 + rnd(12);
		int p[2], status;
		pid_t pid;

		assert_int_equal(pipe(p), 0);
		seed += (unsigned int)round;
		if ((pid = fork()) == 0) {
			s = box_open(&b);
			if (folder_open(s, "INBOX", &f) != STORE_OK)
				_exit(1);
			for (unsigned int i = 0; i < steps; i++)
				step(s, f, &m);
			if (write(p[1], &m, sizeof(m)) != sizeof(m))
				_exit(1);
			kill(getpid(), SIGKILL);
		}
		close(p[1]);
		for (size_t got = 0; got < sizeof(m);) {
			ssize_t n = read(p[0], (char *)&m + got, sizeof(m) - got);

			assert_true(n > 0);
			got += (size_t)n;
		}
		close(p[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		s = box_open(&b);
		assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
		compare(f, &m);
		folder_close(f);
		store_close(s);
	}
	box_remove(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
