/* SPDX-License-Identifier: ISC */
/*
 * A long queue opened: spool_open DIRECTORY [MESSAGES (1000000)]
 *
 * Writes messages of a line each (their number costs, not their size) into a new spool,
 * closes it, and opens it again twice: by the checkpoint, and without it from the whole
 * journal. Tells the time and what memory a message takes.
 */
#include <sys/wait.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "queued/spool.h"

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Private memory of this process, KB. */
static long
memory(void)
{
	char line[256];
	long kb, sum = 0;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Private_%*[a-zA-Z]: %ld", &kb) == 1)
			sum += kb;
	fclose(f);
	return sum;
}

static struct spool *
reopen(const char *dir)
{
	struct spool_conf c = { .root = dir };
	char why[256] = "";
	struct spool *sp = spool_open(NULL, &c, 0, why, sizeof(why));

	if (sp == NULL)
		errx(1, "%s", why);
	return sp;
}

static void
add(struct spool *sp, unsigned long n)
{
	static const uint8_t content[] = "Subject: one of many\r\n\r\nx\r\n";
	char address[64];
	struct rec_rcpt rc = {
		.state = RCPT_LIVE, .has = REC_R_ADDRESS, .address = address
	};
	struct spool_message sm = { .fd = -1, .data = content };
	uint8_t list[256];
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	struct qmsg *m;
	uint64_t id = spool_id(sp);

	snprintf(address, sizeof(address), "user%lu@somewhere.example.org", n);
	rec_rcpt_encode(&rc, &o);
	sm.rec.size = sizeof(content) - 1;
	sm.rec.sender = "somebody.else@elsewhere.example.net";
	sm.rec.client = "192.0.2.17";
	sm.rec.helo = "mx.elsewhere.example.net";
	sm.rec.nrcpt = 1;
	sm.rec.rcpts = (struct bytes_in){ .p = list, .len = o.len };
	if (id == 0 || spool_room(sp, spool_message_len(&sm), 0) == -1 ||
	    (m = spool_put_message(sp, id, &sm, 0)) == NULL)
		err(1, "message %lu", n);
	m->flags &= ~(uint32_t)QM_PENDING;
}

static void
measure(const char *dir, const char *what)
{
	double began = now();
	long before = memory();
	struct spool *sp = reopen(dir);
	size_t n = spool_index(sp)->nmsgs;

	printf("%zu messages opened %s in %.2f s, %.0f octets of memory each\n", n, what,
	    now() - began, n == 0 ? 0 : (double)(memory() - before) * 1024 / (double)n);
	fflush(stdout);
	spool_abandon(sp);
	_exit(0);
}

/* In a process of its own, whose memory begins small. */
static void
run(const char *dir, const char *what)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		measure(dir, what);
	if (pid == -1 || waitpid(pid, &status, 0) == -1 || status != 0)
		errx(1, "opening %s failed", what);
}

int
main(int argc, char **argv)
{
	unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	char path[1024];
	uint64_t clock = 1;
	pid_t pid;
	int status;

	if (argc < 2)
		errx(2, "usage: spool_open directory [messages]");
	if ((pid = fork()) == 0) {
		struct spool *sp = reopen(argv[1]);

		for (unsigned long i = 0; i < n; i++) {
			add(sp, i);
			if (i % 10000 == 0)
				spool_tick(sp, clock += 1000);
		}
		spool_close(sp);
		_exit(0);
	}
	if (pid == -1 || waitpid(pid, &status, 0) == -1 || status != 0)
		errx(1, "writing them failed");
	run(argv[1], "by the checkpoint");
	snprintf(path, sizeof(path), "%s/index/data.mdb", argv[1]);
	if (unlink(path) == -1)
		err(1, "%s", path);
	run(argv[1], "from the whole journal");
	return 0;
}
