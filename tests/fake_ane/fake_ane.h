// What tests ask of the fake framework (libanemone_fake_ane.so) beside what the real one offers:
// scripted faults, counters and a list of misuses. Plain C functions, found with dlsym
// (tests/support/fake_ane.h wraps them).
//
// The script is text: statements separated by ';' or line ends, '#' starts a comment.
//
// Faults: POINT WHICH ACTION...
//   POINT   descriptor, model, request, surface-object (factory methods), surface
//   (IOSurfaceCreate),
//           lock (IOSurfaceLock), compile, load, evaluate, unload, map
//   WHICH   3 (the third since the script was set), 2-4, 5+ or *
//   ACTION  nil             factory methods and IOSurfaceCreate return nil
//           fail            the method returns NO with an NSError (lock: an error code)
//           no-error        with `fail`: the NSError is left nil
//           code N, domain D, text "T"   of that NSError; `code` and `text` imply fail
//           status N        evaluate: as fail, the text names this status (0x1d)
//           hang MS         first waits so long
//           hold            first waits until fake_ane_let_go, as a call that never returns
//           raise           raises an NSException, whose reason is `text` (methods only)
//           late MS         compile, load: returns so much later than it has done its work
//           strides N       compile: succeeds, rows of that program are multiples of N bytes
//           garbage         evaluate: the outputs are overwritten with 0xff before it fails
//
// Settings:
//   budget N                compiles since the last reset, failed ones too, before all fail (119);
//                           0 = any number
//   loaded N                programs that may be loaded at once; 0 = any number (the default)
//   order alphabetical|declaration         of symbols (alphabetical)
//   procedures declared|reversed           which function has procedure 0 (declared)
//   attributes full|none|no-layout|no-symbols|no-strides  what modelAttributes tells (full)
//   rows N                  rows of all programs are multiples of N bytes (64)
//   exists real|yes|no      what compiledModelExists says (real)
//   cache yes|no            compiled programs stay loadable for new model objects (no)
//   slow MS                 every evaluate takes so much longer (0)
//   uniform yes|no          surfaces of one side must be equally large (no)
//   min-surface N           smaller surfaces are refused (0)
//   protect yes|no          surfaces created from now on are readable and writable only while
//                           locked (no)
//   engine cpu|reference    what runs the programs (cpu)
//   threads N               of that engine; 0 = all (0)
//   report FILE             when the process ends, a line of counters is appended to FILE
// Only in the environment variable ANEMONE_FAKE_ANE, which is read when the library is loaded:
//   missing-class NAME      that class does not exist
//   missing-selector NAME   no class has that method
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Takes a new script (null or empty: none) and starts the count of occurrences anew. Returns null,
// or what is wrong with the text; nothing changes then.
const char* fake_ane_script(const char* text);
// No script, nothing held, all counters zero, no violations, no remembered programs. Live objects
// stay.
void fake_ane_reset(void);

// How often a selector ("compileWithQoS:options:error:"), a method ("-[_ANERequest validate]") or a
// C function ("IOSurfaceCreate") was called. "IOSurfaceLock during an evaluation": how often the
// host took a surface while a program was running.
long fake_ane_count(const char* name);
// Objects that exist now, all classes but constant strings; of one class; how many were ever made.
long fake_ane_live_objects(void);
long fake_ane_live(const char* class_name);
long fake_ane_created_objects(void);
long fake_ane_loaded_programs(void);
// Calls under way that the script holds; fake_ane_let_go and fake_ane_reset let them go on.
long fake_ane_held(void);
void fake_ane_let_go(void);
// What a driver must not do and the real framework would punish with a crash, a leak or wrong data,
// one per line; empty = nothing. Valid until the next call.
const char* fake_ane_violations(void);
// All live objects by class, for messages. Valid until the next call.
const char* fake_ane_describe_live(void);
// Why the last compile failed, in full.
const char* fake_ane_last_compile_error(void);

#ifdef __cplusplus
}
#endif
