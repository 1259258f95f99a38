/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tree that all views share: a node for each provider's file and for each directory above one.
 * Made once, never changed; a view only says which of the nodes it has.
 */

#include <stddef.h>
#include <stdint.h>

/* Nodes there can be; the tree's construction fails the program's start past it (a bug of ours, not
 * input). */
#define SF_TREE_MAX_NODES 256

/* A power of two, so large that chains stay short. */
#define SF_TREE_BUCKETS (4u * SF_TREE_MAX_NODES)

typedef struct SfTreeNode {
    char *name; /* last component; "" for the top */
    size_t name_len;
    unsigned parent; /* index; the top is its own parent */
    uint32_t inode;  /* made of the path: not of its place in the table, which builds differ in */
    int provider;    /* index in the provider table; -1: a directory no provider answers for */
} SfTreeNode;

typedef struct SfTree {
    SfTreeNode nodes[SF_TREE_MAX_NODES]; /* [0] is the top; a parent stands before its children */
    unsigned count;
    uint16_t by_inode[SF_TREE_BUCKETS]; /* a node's index and 1; 0: none; collisions go on behind */
} SfTree;

/* The tree of the provider table; made at the first call, thread-safe, lives as long as the
 * program. */
const SfTree *sf_tree(void);
/* The node with that inode number, or -1. */
int sf_tree_by_inode(const SfTree *tree, uint64_t inode);
/* The child of that name, or -1. */
int sf_tree_child(const SfTree *tree, unsigned parent, const char *name, size_t name_len);
