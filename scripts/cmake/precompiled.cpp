// What carries precompiled headers must be a target, and a target has a source.
