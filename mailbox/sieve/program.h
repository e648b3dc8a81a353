/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_PROGRAM_H
#define FIFE_SIEVE_PROGRAM_H

/* A checked script with those that it includes. */

#include "common/sieve/sieve_extension.h"
#include "mailbox/sieve/syntax.h"

#define SIEVE_VARIABLE_NAME_MAX 64

struct sieve_name {
	const char *name; /* lower case */
	bool global;
	uint16_t index; /* in the scope of its kind */
};

struct sieve_unit {
	struct sieve_unit *next;
	const char *name;
	enum sieve_location location;
	struct sieve_node *commands;
	struct sieve_name *names; /* room for SIEVE_VARIABLES_MAX each of both kinds */
	uint16_t n_names, n_locals;
	uint64_t extensions;
	unsigned int number; /* of the program, from 0 */
	bool open;           /* is being checked: it may not include itself */
	bool missing;
};

/* Regular expressions of constants, to be freed. */
struct sieve_regex_link {
	struct sieve_regex_link *next;
	void *regex;
};

struct sieve_program {
	struct arena *arena;
	struct sieve_unit *units; /* the first is the script itself */
	unsigned int n_units;
	struct sieve_name *globals;
	uint16_t n_globals;
	uint64_t extensions; /* of all units */
	struct sieve_regex_link *regexes;
};

#endif
