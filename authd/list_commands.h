/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LIST_COMMANDS_H
#define FIFE_LIST_COMMANDS_H

/* fifectl list ...: those of its commands that change the directory. */

#include "common/ctl.h"

void list_cmd_add(struct ctl *, int, char **);
void list_cmd_del(struct ctl *, int, char **);
void list_cmd_list(struct ctl *, int, char **);
void list_cmd_show(struct ctl *, int, char **);
void list_cmd_set(struct ctl *, int, char **);
void list_cmd_member_add(struct ctl *, int, char **);
void list_cmd_member_del(struct ctl *, int, char **);
void list_cmd_member_list(struct ctl *, int, char **);
void list_cmd_owner_add(struct ctl *, int, char **);
void list_cmd_owner_del(struct ctl *, int, char **);
void list_cmd_poster_add(struct ctl *, int, char **);
void list_cmd_poster_del(struct ctl *, int, char **);
void list_cmd_suspend(struct ctl *, int, char **);
void list_cmd_resume(struct ctl *, int, char **);
void list_cmd_import(struct ctl *, int, char **);
void list_cmd_unsubscribe(struct ctl *, int, char **);

/* dump and load of a list and of a member. */
void list_dump(struct ctl *, const char *key, const char *text);
void list_dump_member(struct ctl *, const char *key, const char *text);
/* Words behind "list" and "list-member". NULL, or what is wrong. */
const char *list_load(char **words, int n);
const char *list_load_member(char **words, int n);

#endif
