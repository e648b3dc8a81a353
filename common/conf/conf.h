/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CONF_H
#define FIFE_CONF_H

/*
 * fife.conf(5) as a plain tree. fifed and fifectl are the only readers of the
 * file; a daemon gets its part as the messages that are embedded here. Paths are
 * kept as written: conf_path() makes them absolute, relative ones from the
 * directory that holds fife.conf.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/msg.h"

#define CONF_FILE_MAX (1024 * 1024)
#define CONF_LISTENERS_MAX 64
#define CONF_TLS_MAX 64
#define CONF_SERVERS_MAX 8
#define CONF_DNSLISTS_MAX 16
#define CONF_STUBS_MAX 64
#define CONF_SOCKETS_MAX 64
#define CONF_RULES_MAX 1000
#define CONF_NAMES_MAX 64
#define CONF_CLASSES_MAX 32
#define CONF_COMMANDS_MAX 64
#define CONF_PATH_MAX 1023
/* Offset of the first mailbox's uid; below are the daemons' own. */
#define CONF_UID_MAILBOXES 50
#define CONF_SMTPD_WORKERS_MAX 16

struct conf_listener {
	struct msg_listener m; /* m.address is an address, never a name */
	unsigned int line;
};

struct conf_tls {
	char certificate[CONF_PATH_MAX + 1];
	char key[CONF_PATH_MAX + 1];
	char names[1024]; /* with commas; empty: the host's name */
	uint8_t is_default;
	unsigned int line;
};

/* Of the queue. */
struct conf_class {
	struct msg_conf_queue_class m;
	unsigned int line;
};

struct conf_rule {
	struct msg_conf_filter_rule m;
	unsigned int line;
};

/* command NAME { } or maildir NAME { }; uid, gid and home are found by
 * conf_command_user(). */
struct conf_command {
	struct msg_conf_command m;
	unsigned int line;
};

struct conf {
	char file[CONF_PATH_MAX + 1]; /* as given */

	char hostname[256];
	char state[CONF_PATH_MAX + 1];
	char libexec[CONF_PATH_MAX + 1];
	char postmaster[321]; /* empty: the first administrator */
	uint32_t uid_first;
	uint32_t uid_last;
	uint32_t smtpd_workers; /* 0: one a processor */
	uint8_t debug;

	struct conf_listener *listeners;
	size_t n_listeners;
	struct conf_tls *tls;
	size_t n_tls;

	struct msg_conf_smtpd smtp;
	struct msg_conf_gate gate;
	struct msg_conf_dnslist dnslists[CONF_DNSLISTS_MAX];
	size_t n_dnslists;
	struct msg_conf_queued queue;
	struct conf_class *classes;
	size_t n_classes;
	struct msg_conf_dnsd resolver;
	struct msg_conf_dns_server servers[CONF_SERVERS_MAX];
	size_t n_servers;
	struct msg_conf_dns_stub *stubs;
	size_t n_stubs;
	struct msg_conf_deliverd delivery;
	struct msg_local_path *sockets; /* that routes may lead to */
	size_t n_sockets;
	struct msg_conf_policyd policy; /* ca_file is delivery's */
	struct msg_conf_filterd filter;
	struct msg_conf_scand scan;
	struct conf_rule *rules;
	size_t n_rules;
	struct conf_command *commands;
	size_t n_commands;
	struct msg_conf_mboxd mailbox;
	char sieve_global[CONF_PATH_MAX + 1]; /* these three: empty for none */
	char sieve_before[CONF_PATH_MAX + 1];
	char sieve_after[CONF_PATH_MAX + 1];
	struct msg_conf_front imap;
	struct msg_conf_front pop3;
	struct msg_conf_front managesieve;
	struct msg_conf_authd directory;
	char client_ca[CONF_PATH_MAX + 1]; /* empty: none */
	struct msg_conf_limits limits;
	struct msg_conf_watch watch;
	struct msg_conf_logd log;
};

/*
 * Read, parse and check. NULL on failure, with the sentence in err:
 * «file:line: what, what was expected».
 */
struct conf *conf_load(const char *path, char *err, size_t cap);
/* The same from memory; path only names it in errors. */
struct conf *conf_parse(
    const char *path, const char *text, size_t len, char *err, size_t cap);
/* What must hold between settings; fills in what follows from others. Called
 * by conf_parse(). 0 or -1 with err. */
int conf_check(struct conf *, char *err, size_t cap);
/* All of it, defaults included, in the grammar: what it prints parses to the
 * same tree. 0, or -1 if f has failed. */
int conf_print(const struct conf *, FILE *f);
void conf_free(struct conf *);

/* path as written in the file, absolute; -1: too long. */
int conf_path(const struct conf *, const char *path, char *buf, size_t cap);
/* Open a file that the configuration names, to read. -1 with errno. */
int conf_open_file(const struct conf *, const char *path);
/* Can all certificates and keys be opened? 0, or -1 with err. */
int conf_check_files(const struct conf *, char *err, size_t cap);
/* Who that command runs as, into its message: 0, or -1 with err, when there is no such
 * user, or it is root. */
int conf_command_user(const struct conf *, struct conf_command *, char *err, size_t cap);
/* Just the state directory, absolute, out of a file that may be full of
 * mistakes: who stops a suite cannot wait for them to be mended. 0 or -1. */
int conf_find_state(const char *path, char *buf, size_t cap);

#endif
