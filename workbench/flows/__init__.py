"""Use cases that compose the packages below; a button, a command and an API route that do one thing call one flow.

Every flow is a plain function ``flow(ctx, project, ...)``. The :class:`~workbench.flows.context.Context` says who asks,
in which language, and where progress goes. A flow checks the actor's permission first, writes its result in a folder of
its own (temporary folder, then rename: never half-done), records the step, appends to the audit trail and returns a
frozen result that holds everything a page draws. What a flow left behind is read back by the `stored` function of its
module, in the same type, or None where the step has not run.

========================  ============================================================================================
module                    what it does
========================  ============================================================================================
`context`                 `Context`, `open_context`, `local_actor`
`spec`                    `ProjectSpec`: data model, labels, feature and training settings, as one YAML
`projects`                create, list, get; read and write the specification; who may open without a password
`importing`               files → stored tables: `ImportResult` with profiles, relationships, findings; preview; uploads
`features`                proposal → plan → matrix → selection → leakage certificate: `FeatureResult`
`training`                labels, split, models, bundle, draft version: `TrainResult`; hash splits
`review`                  `Dossier` of a version; submit, approve, reject, request changes; what waits
`deployment`              `DeploymentState` with history; deploy, roll back
`snapshots`               `SnapshotState`: publish the online snapshot for the deployed models; what is in place
`scoring`                 payload of one enterprise as of a date; score one; score many to a file
`monitoring`              drift of a period, from the score log or the tables; report file; advice
`overview`                `LoopState` for Home: six steps, sentence, attention list, drift series
`administration`          users, API keys, audit trail
`demo`                    the whole loop on the sample world
========================  ============================================================================================

Long flows are run as jobs: ``JobQueue(ctx.database).enqueue("features", {"project": name}, by=ctx.actor)``; the kinds
and their arguments stand in :mod:`workbench.jobs.kinds`.
"""
