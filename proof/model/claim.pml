/*
 * Claim, lease, fence and doubt of one case with an opaque effect. `spin` walks every state that can be
 * reached and checks each `assert`; proof/model.ts runs it. What stands in an #ifdef is broken on purpose,
 * by one line more, and must be caught; HASTY and WORD are explained where they stand.
 *
 * The moves are those of src/core/transition.ts: test/proof/model.test.ts compares them. Left out are
 * renewals (here a lease may end at any time), the decision before FINAL, and the other effect classes.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef CLAIMS
#define CLAIMS 3                         /* one claim more is refused, as by limits.claimsPerCase */
#endif

mtype = { ABSENT, FINAL, EXECUTING, IN_DOUBT, SETTLED, VOID };
mtype = { claim, settle, release, release_final, doubt, lease_ended, happened, not_happened, withdraw };
mtype = { MAY_START, UNDER_WAY, HAPPENED, NEVER };

mtype state;                             /* the case in the store; a version would say no more, since it is */
byte fence;                              /* never twice in the same state under the same fence */

mtype effect[CLAIMS + 1];                /* what is so in the world, by fence; a process sees its own alone */
bool said[CLAIMS + 1];                   /* the store was told of it that it did not happen */

/* When an earlier claim stands in nobody's way: its effect did not happen and never will. With WORD: when
   the effect itself, the guard or a person said so; if one of them is wrong, P1 promises no more. */
#ifdef WORD
#define OVER(F) said[F]
#else
#define OVER(F) (effect[F] == NEVER)
#endif

#define MOVE(EVENT, FROM, TO)   :: what == EVENT && was == FROM -> next = TO
#define FENCED(EVENT, FROM, TO) :: what == EVENT && was == FROM && about == read -> next = TO

inline transition() {
  if
  MOVE(claim, ABSENT, EXECUTING)
  MOVE(claim, FINAL, EXECUTING)
  MOVE(withdraw, FINAL, VOID)
  MOVE(lease_ended, EXECUTING, IN_DOUBT)
  FENCED(doubt, EXECUTING, IN_DOUBT)
  FENCED(settle, EXECUTING, SETTLED)
  FENCED(settle, IN_DOUBT, SETTLED)      /* a late result */
  FENCED(settle, FINAL, SETTLED)         /* a late result that proves a word wrong: only with HASTY */
  FENCED(release, EXECUTING, FINAL)
  FENCED(release, IN_DOUBT, FINAL)
  FENCED(release_final, EXECUTING, VOID)
  FENCED(release_final, IN_DOUBT, VOID)
  FENCED(happened, IN_DOUBT, SETTLED)
  FENCED(not_happened, IN_DOUBT, FINAL)
#ifdef LEASE_END_FREES
  MOVE(lease_ended, EXECUTING, FINAL)
#endif
#ifdef SETTLE_UNFENCED
  MOVE(settle, EXECUTING, SETTLED)
#endif
  :: else -> next = 0                    /* refused */
  fi
}

inline land() {                          /* the commit is written */
  printf("%e #%d: %e #%d -> %e\n", what, about, was, read, next);
  assert(state != SETTLED && state != VOID);                         /* a receipt never changes */
  assert(state != IN_DOUBT || what != lease_ended && what != claim); /* time never clears a doubt */
  assert(about == 0 || about == fence);                              /* no stale fence is heard */
  if
  :: what == claim -> mine = read + 1; fence = mine;
     assert(effect[mine] == 0); effect[mine] = MAY_START             /* a fence is given once */
  :: what == release || what == release_final || what == not_happened -> said[about] = true
  :: else
  fi;
  state = next
}

/* Whoever has a guard: runs effects, ends leases; persons speak through it. It may pause at any step. */
active [PROCESSES] proctype Process() {
  mtype what, was, next; byte about, read, i;
  byte mine;                             /* the fence of its claim, which it knows by its nonce */
  bool sure;                             /* it knows that the claim landed */
idle:
  atomic { what = 0; about = 0; was = 0; read = 0; next = 0; i = 0 };
  if
  :: atomic { !mine && fence < CLAIMS && (state == ABSENT || state == FINAL) -> what = claim }
  :: atomic { mine && !sure && state == EXECUTING && fence == mine -> sure = true; goto idle }
  :: atomic { mine && sure && effect[mine] == MAY_START ->           /* however long after its claim */
       printf("the effect of #%d starts\n", mine); i = 1;
       do :: i < mine -> assert(OVER(i)); i++ :: else -> break od;   /* never a second execution */
       effect[mine] = UNDER_WAY; goto idle }
  :: atomic { mine && effect[mine] == MAY_START ->                   /* not started: to be given back */
       effect[mine] = NEVER; sure = true; goto idle }
  :: atomic { mine && sure && effect[mine] == HAPPENED -> what = settle; about = mine }
  :: atomic { mine && sure && effect[mine] == NEVER -> what = release; about = mine }
  :: atomic { mine && sure && effect[mine] == NEVER -> what = release_final; about = mine }
  :: atomic { mine && sure && effect[mine] != MAY_START ->           /* it threw, or its time is over */
       what = doubt; about = mine }
#ifdef UNKNOWN_IS_NOT_PERFORMED
  :: atomic { mine && sure && effect[mine] != MAY_START -> what = release; about = mine }
#endif
  :: atomic { mine -> printf("the process of #%d dies\n", mine);     /* another one takes its place */
       if :: effect[mine] == MAY_START -> effect[mine] = NEVER :: else fi;
       mine = 0; sure = false; goto idle }
  :: atomic { state == EXECUTING -> what = lease_ended }             /* at any time: no clock is believed */
  :: atomic { state == FINAL -> what = withdraw }
  :: atomic { state == SETTLED -> assert(effect[fence] == HAPPENED); goto idle }              /* "once" is true */
  :: atomic { state == VOID -> assert(effect[fence] != HAPPENED || OVER(fence)); goto idle }  /* "none" is true */
  :: atomic { state == IN_DOUBT && effect[fence] == HAPPENED -> what = happened; about = fence }
  :: atomic { state == IN_DOUBT && effect[fence] == NEVER -> what = not_happened; about = fence }
#ifdef HASTY                             /* a person looks, and doesn't make sure that the worker is dead */
  :: atomic { state == IN_DOUBT && effect[fence] != HAPPENED -> what = not_happened; about = fence }
#endif
  fi;
apply:
  atomic { was = state; read = fence; transition();
    if :: next == 0 || what == claim && read == CLAIMS -> goto idle :: else fi };
  atomic {                               /* meanwhile others may have moved the case on */
    if
    :: state == was && fence == read -> land(); sure = (sure || what == claim); goto idle
    :: state == was && fence == read -> land();                      /* its acknowledgement is lost */
       if :: what == claim -> goto idle :: else -> goto apply fi
    :: state != was || fence != read -> goto apply                   /* somebody was faster */
#ifdef NO_COMPARE
    :: state != was || fence != read -> land(); sure = (sure || what == claim); goto idle
#endif
    :: goto idle                         /* the store fails, and nothing is written */
    fi }
}

/* Whether an effect under way happens, and when, nobody has a say in: not even the death of its worker. */
active proctype World() {
  byte f;
  do
  :: atomic { f = 1; do :: f < CLAIMS -> f++ :: break od;
       if
       :: effect[f] == UNDER_WAY -> effect[f] = HAPPENED; printf("the effect of #%d happens\n", f)
       :: effect[f] == UNDER_WAY -> effect[f] = NEVER; printf("the effect of #%d fails\n", f)
       :: else
       fi; f = 0 }
  od
}

init { if :: state = ABSENT :: state = FINAL fi }
