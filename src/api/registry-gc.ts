import {
  conditions,
  duration,
  durationWithDefault,
  objectName,
  observedGeneration,
  time,
} from './field-schemas.ts';
import { repositoryGlobPattern, schedulePattern, tagGlobPattern, timeZonePattern } from './formats.ts';
import type { CustomObject, ResourceDefinition } from './resource.ts';
import type { ArraySchema, Infer, ObjectSchema } from './schema.ts';

const keepTags = {
  type: 'object',
  description: 'A tag stays when one of these says so; the others go.',
  properties: {
    patterns: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'set',
      description: 'Tags with such a name.',
      items: {
        type: 'string',
        minLength: 1,
        maxLength: 128,
        pattern: tagGlobPattern,
        description: 'A pattern: `*` stands for anything.',
      },
    },
    mostRecent: {
      type: 'integer',
      format: 'int32',
      minimum: 1,
      maximum: 1000000,
      description: 'So many tags of a repository that were pushed last.',
    },
    pushedWithin: duration('Tags that were pushed within this time, such as `720h`.'),
    pulledWithin: duration('Tags that were pulled or pushed within this time.'),
  },
  'x-kubernetes-validations': [
    {
      rule: 'has(self.patterns) || has(self.mostRecent) || has(self.pushedWithin) || has(self.pulledWithin)',
      message:
        'without a condition every tag would be deleted: add patterns, mostRecent, pushedWithin or pulledWithin',
    },
  ],
} as const satisfies ObjectSchema;

const retention = {
  type: 'array',
  minItems: 1,
  maxItems: 16,
  'x-kubernetes-list-type': 'atomic',
  description:
    'Which tags stay. The first rule that a repository matches decides; where none matches all tags stay. A dry run tells in the log of its pod what would become of each tag.',
  items: {
    type: 'object',
    required: ['repositories', 'keepTags'],
    description: 'One rule.',
    properties: {
      repositories: {
        type: 'array',
        minItems: 1,
        maxItems: 16,
        'x-kubernetes-list-type': 'set',
        description: 'The repositories that the rule is about.',
        items: {
          type: 'string',
          minLength: 1,
          maxLength: 255,
          pattern: repositoryGlobPattern,
          description: 'A pattern: `*` stands for anything but a slash, `**` for anything.',
        },
      },
      keepTags,
    },
  },
} as const satisfies ArraySchema;

const registryGCSpec = {
  type: 'object',
  required: ['registryRef'],
  description: 'What to collect, and when.',
  properties: {
    registryRef: {
      type: 'object',
      required: ['name'],
      description: 'The Registry to collect in. It cannot change.',
      properties: { name: objectName('Its name, in the same namespace.') },
      'x-kubernetes-validations': [
        {
          rule: 'self == oldSelf',
          message: 'registryRef cannot change: make another RegistryGC for the other Registry',
        },
      ],
    },
    schedule: {
      type: 'string',
      minLength: 1,
      maxLength: 128,
      pattern: schedulePattern,
      description:
        'When to run, as in a crontab: five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Without it there is one run, when the RegistryGC is made. The annotation `stevedore.dev/run-at` with a new value starts a run at any time.',
    },
    timeZone: {
      type: 'string',
      minLength: 1,
      maxLength: 64,
      pattern: timeZonePattern,
      description: 'The time zone of `schedule`, such as `Europe/Rome`. Without it, UTC.',
    },
    suspend: {
      type: 'boolean',
      default: false,
      description:
        'Whether no run is started by the schedule. One that runs goes on, and the annotation `stevedore.dev/run-at` still starts one.',
    },
    startingDeadlineSeconds: {
      type: 'integer',
      format: 'int64',
      minimum: 10,
      maximum: 604800,
      default: 3600,
      description: 'How late a scheduled run may start. One that is later is left out.',
    },
    dryRun: {
      type: 'boolean',
      default: false,
      description: 'Whether a run only reports what it would delete. It takes no lease.',
    },
    deleteUntagged: {
      type: 'boolean',
      default: false,
      description:
        'Whether manifests go that no tag, no index and no subject keeps. Otherwise they stay until clients delete them.',
    },
    retention,
    minimumAge: durationWithDefault(
      '2h',
      'What was pushed or referenced more recently stays. It spares pushes that are not finished.',
    ),
    trashGrace: durationWithDefault(
      '24h',
      'How long deleted content stays in the trash, from where a server restores what it misses. `0s`: no trash, the space comes back in the same run.',
    ),
    drainTimeout: durationWithDefault(
      '5m',
      'How long a run waits for uploads to finish. After that it gives up, deletes nothing and reports `DrainTimeout`.',
    ),
    activeDeadlineSeconds: {
      type: 'integer',
      format: 'int64',
      minimum: 60,
      maximum: 604800,
      default: 21600,
      description: 'How long a run may take in all. After that it is stopped and reports `DeadlineExceeded`.',
    },
    successfulRunsHistoryLimit: {
      type: 'integer',
      format: 'int32',
      minimum: 0,
      maximum: 16,
      default: 3,
      description: 'How many runs that succeeded are kept: their Jobs, and their lines in `status.history`.',
    },
    failedRunsHistoryLimit: {
      type: 'integer',
      format: 'int32',
      minimum: 0,
      maximum: 16,
      default: 3,
      description: 'How many other runs are kept.',
    },
  },
  'x-kubernetes-validations': [
    {
      rule: '!has(self.timeZone) || has(self.schedule)',
      message: 'a time zone needs a schedule: add schedule, or remove timeZone',
      fieldPath: '.timeZone',
    },
    {
      rule: 'duration(self.drainTimeout).getSeconds() < self.activeDeadlineSeconds',
      message:
        'waiting for uploads may not take all the time of the run: make drainTimeout shorter than activeDeadlineSeconds',
      fieldPath: '.drainTimeout',
    },
  ],
} as const satisfies ObjectSchema;

/** The results that a collector reports, and `DeadlineExceeded`, which the operator sees from outside. */
const result = {
  type: 'string',
  enum: ['Succeeded', 'Failed', 'DrainTimeout', 'LeaseLost', 'Conflict', 'DeadlineExceeded'],
  description:
    'How it ended. `DrainTimeout`: uploads did not finish in time. `LeaseLost`: it could not renew its lease. `Conflict`: another run was going on. `DeadlineExceeded`: it took too long. After any of them the registry is whole and takes writes.',
} as const;

const runIdentity = {
  name: { type: 'string', description: 'The name of the Job.' },
  result,
  startTime: time('When it began.'),
  completionTime: time('When it ended.'),
} as const;

const count = { type: 'integer', format: 'int64', minimum: 0 } as const;

const runNumbers = {
  tagsDeleted: {
    ...count,
    description: 'Tags that no rule of `retention` kept; in a dry run, those that would go.',
  },
  manifestsDeleted: { ...count, description: 'Manifests deleted; in a dry run, those that would be.' },
  blobsDeleted: { ...count, description: 'Blobs deleted; in a dry run, those that would be.' },
  bytesReclaimed: { ...count, description: 'Bytes that came back to the volume.' },
} as const;

const registryGCStatus = {
  type: 'object',
  description: 'What was collected. The operator writes it, from facts.',
  properties: {
    observedGeneration,
    conditions,
    phase: {
      type: 'string',
      enum: ['Idle', 'Pending', 'Draining', 'Running', 'Succeeded', 'Failed'],
      description:
        'Where it stands. `Idle`: it waits for its time. `Pending`: the pod has not started. `Draining`: it waits for uploads. `Succeeded`, `Failed`: the last run, with no next one.',
    },
    lastRun: {
      type: 'object',
      required: ['name'],
      description: 'The last run, also while it goes on.',
      properties: {
        ...runIdentity,
        dryRun: { type: 'boolean', description: 'Whether it only reported.' },
        readOnlySeconds: {
          type: 'integer',
          format: 'int64',
          minimum: 0,
          description: 'For how many seconds writes were held.',
        },
        ...runNumbers,
        bytesInTrash: {
          ...count,
          description: 'Bytes in the trash, which come back when their grace is over.',
        },
        message: {
          type: 'string',
          maxLength: 1024,
          description: 'What happened, and after a failure what to do.',
        },
      },
    },
    nextRunTime: time('When the next scheduled run is due.'),
    history: {
      type: 'array',
      maxItems: 32,
      'x-kubernetes-list-type': 'atomic',
      description: 'Runs that have ended, the latest first.',
      items: {
        type: 'object',
        required: ['name', 'result'],
        description: 'One run.',
        properties: { ...runIdentity, ...runNumbers },
      },
    },
    lastHandledRunAt: {
      type: 'string',
      description: 'The value of the annotation `stevedore.dev/run-at` that was acted on last.',
    },
  },
} as const satisfies ObjectSchema;

export const registryGCDefinition = {
  kind: 'RegistryGC',
  plural: 'registrygcs',
  singular: 'registrygc',
  shortNames: ['reggc'],
  description:
    'Garbage collection of a Registry: once, on a schedule, or by hand. The registry goes on serving; writes are held for the time of the deletion.',
  spec: registryGCSpec,
  status: registryGCStatus,
  rules: [
    {
      rule: "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$')",
      message:
        "Jobs are named after the RegistryGC: choose a name of at most 50 lower-case letters, digits and '-'",
    },
  ],
  printerColumns: [
    {
      name: 'Registry',
      type: 'string',
      jsonPath: '.spec.registryRef.name',
      description: 'Where it collects.',
    },
    { name: 'Schedule', type: 'string', jsonPath: '.spec.schedule', description: 'When it runs.' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where it stands.' },
    {
      name: 'Last result',
      type: 'string',
      jsonPath: '.status.lastRun.result',
      description: 'How the last run ended.',
    },
    {
      name: 'Reclaimed',
      type: 'integer',
      jsonPath: '.status.lastRun.bytesReclaimed',
      description: 'Bytes that came back in the last run.',
    },
    {
      name: 'Next',
      type: 'string',
      jsonPath: '.status.nextRunTime',
      description: 'When the next run is due.',
    },
    {
      name: 'Age',
      type: 'date',
      jsonPath: '.metadata.creationTimestamp',
      description: 'Since when it exists.',
    },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      description: 'Why it is ready or not.',
      priority: 1,
    },
  ],
} as const satisfies ResourceDefinition;
export type RegistryGCStatus = Infer<typeof registryGCStatus>;
export type RegistryGC = CustomObject<typeof registryGCDefinition>;
