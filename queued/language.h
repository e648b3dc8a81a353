/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_LANGUAGE_H
#define FIFE_QUEUED_LANGUAGE_H

/*
 * In which language a sender of ours is told about a message: a setting of the domain
 * (fifectl domain set), which authd knows. Asked when the message is given out; English
 * until there is an answer.
 */

#include "queued/words.h"

void language_want(const char *sender);
enum lang language_of(const char *sender);
/* Domains have changed. */
void language_forget(void);

#endif
