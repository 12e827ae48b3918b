"""One journal record + state -> new state + effects: normalize, twin, rules, commands, in that order; pure."""
