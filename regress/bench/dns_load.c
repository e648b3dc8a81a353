/* SPDX-License-Identifier: ISC */
/*
 * Lookups through a channel of dnsd's, as deliverd-remote asks them, many at a time;
 * with -l of the library alone, in this process, with the settings that dnsd gives it.
 * It starts dnsd itself and plays fifed for it. Names are n0, n1 ... of a zone that a
 * server on loopback has; lookup.py calls it. First each name once, which nobody has
 * in a cache, then again and again.
 *
 *	dns_load [-l] [-n names] [-c cached] [-a at-a-time] [-k anchors] dnsd root zone
 *port
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/dnsrr.h"

#define NOBODY 65534

static struct event_base *base;
static struct channel *fifed, *dnsd;
static struct ub_ctx *library;
static const char *zone;
static unsigned long at_a_time = 256, begun, done, wanted, names = 10000;
static unsigned long failed, insecure;
static int ready;
static pid_t pid;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Of dnsd, or of the library in here. */
static double
cpu(void)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024] = "", *p;
	struct rusage ru;
	FILE *f;

	if (pid == 0) {
		getrusage(RUSAGE_SELF, &ru);
		return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "r")) != NULL) {
		if (fgets(line, sizeof(line), f) != NULL &&
		    (p = strrchr(line, ')')) != NULL)
			(void)sscanf(p,
			    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &system);
		fclose(f);
	}
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void more(void);

static void
count(int ok, int secure)
{
	done++;
	failed += !ok;
	insecure += !secure;
	more();
}

static void
from_dnsd(struct msg *m, void *arg)
{
	count(m != NULL && m->p.dns_answer.status == DNS_OK && m->p.dns_answer.count > 0,
	    m != NULL && m->p.dns_answer.secure);
}

static void
from_library(void *arg, int rcode, void *pkt, int len, int sec, char *why, int limited)
{
	count(rcode == 0 && len > 0, sec == 2);
}

static void
ask(unsigned long i)
{
	struct msg_dns_lookup q = { .rrtype = DNSRR_A };

	snprintf(q.name, sizeof(q.name), "n%lu.%s", i % names, zone);
	if (library != NULL) {
		if (ub_resolve_event(
			library, q.name, DNSRR_A, 1, NULL, from_library, NULL) != 0)
			count(0, 0);
	} else if (channel_ask(
		       dnsd, MSG_ANY_DNSD_LOOKUP, &q, -1, 60000, from_dnsd, NULL) == 0)
		count(0, 0);
}

/* The library may answer from inside. */
static void
more(void)
{
	static int busy;

	if (busy)
		return;
	busy = 1;
	while (begun < wanted && begun - done < at_a_time)
		ask(begun++);
	busy = 0;
	if (done == wanted)
		event_base_loopbreak(base);
}

static void
run(const char *what, unsigned long n)
{
	double t = now(), c = cpu();

	begun = done = failed = insecure = 0;
	wanted = n;
	more();
	while (done < wanted)
		event_base_dispatch(base);
	t = now() - t;
	c = cpu() - c;
	printf("%s n=%lu rate=%.0f cpu_us=%.2f failed=%lu insecure=%lu\n", what, n,
	    (double)n / t, c * 1e6 / (double)n, failed, insecure);
	fflush(stdout);
}

static void
lost(struct channel *ch, const char *why, void *arg)
{
	fprintf(stderr, "dns_load: dnsd has gone: %s\n", why);
	exit(1);
}

static void
message(struct channel *ch, struct msg *m, void *arg)
{
	if (m->type == MSG_ANY_FIFED_READY)
		ready = 1;
}

static void
start_dnsd(const char *program, const char *root, int port, const char *anchors)
{
	struct msg_conf conf = { .uid = NOBODY,
		.gid = NOBODY,
		.role = ROLE_DNSD,
		.instances = 1,
		.generation = 1 };
	struct msg_conf_dnsd dns = {
		.dnssec = anchors[0] != '\0', .cache_bytes = 64 << 20, .timeout_ms = 20000
	};
	struct msg_conf_dns_stub stub = { .port = (uint16_t)port };
	struct msg_channel peer = { .role = ROLE_DELIVERD_REMOTE };
	struct msg_generation generation = { 1 };
	int own[2], theirs[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, own) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, theirs) == -1 ||
	    (pid = fork()) == -1)
		exit(1);
	if (pid == 0) {
		if (dup2(own[1], 3) == -1)
			_exit(1);
		compat_closefrom(4);
		execl(program, "dnsd", (char *)NULL);
		_exit(1);
	}
	close(own[1]);
	fifed = channel_new(base, own[0], ROLE_FIFED, 0, ROLE_DNSD, message, lost, NULL);
	dnsd = channel_new(
	    base, theirs[0], ROLE_DELIVERD_REMOTE, 0, ROLE_DNSD, message, lost, NULL);
	strlcpy(conf.root, root, sizeof(conf.root));
	strlcpy(conf.hostname, "bench.test", sizeof(conf.hostname));
	strlcpy(dns.anchor_file, anchors, sizeof(dns.anchor_file));
	strlcpy(stub.zone, zone, sizeof(stub.zone));
	strlcpy(stub.address, "127.0.0.1", sizeof(stub.address));
	if (fifed == NULL || dnsd == NULL ||
	    channel_send(fifed, MSG_FIFED_ANY_CONF, 0, &conf, -1) == -1 ||
	    channel_send(fifed, MSG_FIFED_DNSD_CONF, 0, &dns, -1) == -1 ||
	    channel_send(fifed, MSG_FIFED_DNSD_STUB, 0, &stub, -1) == -1 ||
	    channel_send(fifed, MSG_FIFED_ANY_CHANNEL, 0, &peer, theirs[1]) == -1 ||
	    channel_send(fifed, MSG_FIFED_ANY_START, 0, &generation, -1) == -1)
		exit(1);
	while (!ready)
		event_base_loop(base, EVLOOP_ONCE);
}

static void
option(const char *name, const char *value)
{
	if (ub_ctx_set_option(library, name, value) != 0) {
		fprintf(stderr, "dns_load: %s %s\n", name, value);
		exit(1);
	}
}

/* As resolve.c sets it up. */
static void
start_library(int port, const char *anchors)
{
	char at[64], local[300];

	snprintf(at, sizeof(at), "127.0.0.1@%d", port);
	snprintf(local, sizeof(local), "%s. transparent", zone);
	if ((library = ub_ctx_create_event(base)) == NULL)
		exit(1);
	option("edns-buffer-size:", "1232");
	option("outgoing-range:", "256");
	option("num-queries-per-thread:", "2048");
	option("module-config:", anchors[0] != '\0' ? "validator iterator" : "iterator");
	option("msg-cache-size:", "22369621");
	option("rrset-cache-size:", "44739242");
	option("local-zone:", local);
	option("do-not-query-localhost:", "no");
	if (ub_ctx_set_stub(library, zone, at, 0) != 0 ||
	    (anchors[0] != '\0' && ub_ctx_add_ta_file(library, anchors) != 0))
		exit(1);
}

int
main(int argc, char **argv)
{
	const char *anchors = "";
	unsigned long cached = 0;
	int c, alone = 0;

	while ((c = getopt(argc, argv, "ln:c:a:k:")) != -1)
		if (c == 'l')
			alone = 1;
		else if (c == 'n')
			names = strtoul(optarg, NULL, 10);
		else if (c == 'c')
			cached = strtoul(optarg, NULL, 10);
		else if (c == 'a')
			at_a_time = strtoul(optarg, NULL, 10);
		else if (c == 'k')
			anchors = optarg;
		else
			return 2;
	if (argc - optind != 4 || names == 0 || at_a_time == 0)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	zone = argv[optind + 2];
	if (alone)
		start_library((int)strtol(argv[optind + 3], NULL, 10), anchors);
	else
		start_dnsd(argv[optind], argv[optind + 1],
		    (int)strtol(argv[optind + 3], NULL, 10), anchors);
	run("uncached", names);
	if (cached > 0)
		run("cached", cached);
	if (pid != 0) {
		kill(pid, SIGTERM);
		waitpid(pid, NULL, 0);
	}
	return 0;
}
