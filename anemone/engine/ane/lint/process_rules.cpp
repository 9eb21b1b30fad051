// Rules 65 to 73: the process and the compile service. None is about a program; they stand here so
// that the catalogue is whole.
#include "anemone/engine/ane/lint/rule.h"

namespace anemone::engine::ane::lint {
namespace {

constexpr NotDecidable kService = {"it is about the process and the compile service"};

constexpr Rule kProcessRules[] = {
    {65, "About 119 compiles a process", Effect::status, Certainty::B,
     "119 to 132 on M4, 120 by another count; then every compile fails. Each leaks 0.5 to 2 MB.",
     "Train with a compile limit: it saves and starts itself again before the limit.",
     "maderix/ANE, Orion, PR 23, ironmill, omlx", kService},
    {66, "A budget of loaded programs", Effect::status, Certainty::D,
     "About 55 by one report, 72 to 86 in the original program; it depends on their sizes, and "
     "unloading returns it.",
     "Unload what is not used.", "ironmill, field guide, PR 23, maderix/ANE", kService},
    {67, "Loading what is compiled costs no compile", Effect::fact, Certainty::C,
     "A hit of compiledModelExists does not count against the budget.",
     "Nothing: the driver asks first.", "ironmill, omlx", kService},
    {68, "15 seconds after a failed compile", Effect::speed, Certainty::C,
     "The service restarts, and bursts of failures stall every client of it.",
     "Nothing: the driver waits.", "ane-guide", kService},
    {69, "Loading may fail once", Effect::fact, Certainty::B,
     "A second try after 100 ms works; one project compiles up to five times.",
     "Nothing: the driver tries twice.", "maderix/ANE, tmc/apple, Espresso", kService},
    {70, "A queue of 127", Effect::status, Certainty::B,
     "And two streams that complete asynchronously can hang.", "Evaluate one after the other.",
     "ane-guide, Espresso", kService},
    {71, "Direct evaluation slows down", Effect::speed, Certainty::C,
     "After some 100,000 calls of doEvaluateDirect, until the program is compiled again.",
     "Evaluate through the model.", "rustane", kService},
    {72, "Paths that new systems broke", Effect::status, Certainty::B,
     "Compiling a model at a URL is broken on macOS 26, the path through memory is fine. One "
     "candidate of 27.0 failed to verify the bundle.",
     "Use the path through memory: the driver does.", "maderix/ANE, omlx", kService},
    {73, "Memory is held until unload and release", Effect::speed, Certainty::C,
     "Buffers and weights stay mapped; surfaces are unmapped first.",
     "Nothing: the driver does so.", "omlx, tmc/apple", kService},
};

}  // namespace

Rules process_rules() { return kProcessRules; }

}  // namespace anemone::engine::ane::lint
