import { jsonEqual } from '../fields/json.ts';
import type { Json, JsonObject, Kind } from '../kind.ts';
import {
  at,
  changed,
  count,
  forbiddenField,
  immutable,
  invalidValue,
  items,
  notOneOf,
  object,
  required,
  text,
  withDefaults,
} from './read.ts';

export const deployment: Partial<Kind> = {
  scale: {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.spec.selector',
  },
  validate: (given, old) => {
    const selector = object(given, 'spec', 'selector');
    const labels = at(given, 'spec', 'template', 'metadata', 'labels');
    const wanted = Object.entries(object(selector, 'matchLabels'));
    const isSelected = wanted.length > 0 && wanted.every(([key, value]) => at(labels, key) === value);
    return [
      ...immutable(given, old, ['spec.selector']),
      ...notOneOf(
        'spec.template.spec.restartPolicy',
        at(given, 'spec', 'template', 'spec', 'restartPolicy'),
        ['Always'],
      ),
      ...(isSelected
        ? []
        : [
            invalidValue(
              'spec.template.metadata.labels',
              labels ?? null,
              '`selector` does not match template `labels`',
            ),
          ]),
    ];
  },
};

export const job: Partial<Kind> = {
  selectable: { 'status.successful': (given) => String(count(given, 'status', 'succeeded')) },
  defaults: (given) => {
    const labels = at(given, 'spec', 'template', 'metadata', 'labels');
    return changed(given, ['metadata'], (metadata) => withDefaults(metadata, { labels }));
  },
  prepare: (given, old) => {
    if (old !== undefined) return given;
    const uid = text(given, 'metadata', 'uid');
    const name = text(given, 'metadata', 'name');
    const own = {
      'batch.kubernetes.io/controller-uid': uid,
      'batch.kubernetes.io/job-name': name,
      'controller-uid': uid,
      'job-name': name,
    };
    const withOwn = (metadata: Json) => ({
      ...object(metadata),
      labels: { ...object(metadata, 'labels'), ...own },
    });
    // Labels that came from the template are one with those, in Kubernetes too.
    const isShared = jsonEqual(
      at(given, 'metadata', 'labels'),
      at(given, 'spec', 'template', 'metadata', 'labels'),
    );
    const labelled = changed(given, ['spec', 'template', 'metadata'], withOwn);
    return changed(isShared ? changed(labelled, ['metadata'], withOwn) : labelled, ['spec'], (spec) => ({
      ...object(spec),
      selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
    }));
  },
  validate: (given, old) => {
    const policy = at(given, 'spec', 'template', 'spec', 'restartPolicy');
    return [
      ...(policy === 'Always'
        ? [required('spec.template.spec.restartPolicy', 'valid values: "OnFailure", "Never"')]
        : []),
      ...['completions', 'parallelism'].flatMap((field) =>
        count(given, 'spec', field) > 1
          ? [forbiddenField(`spec.${field}`, 'this server runs one pod of a Job at a time')]
          : [],
      ),
      ...immutable(given, old, ['spec.completions', 'spec.selector', 'spec.template', 'spec.completionMode']),
    ];
  },
};

export const pod: Partial<Kind> = {
  returnsDeleted: true,
  selectable: Object.fromEntries(
    ['spec.nodeName', 'spec.restartPolicy', 'spec.serviceAccountName', 'status.phase', 'status.podIP'].map(
      (path) => [path, (given: JsonObject) => text(given, ...path.split('.'))],
    ),
  ),
  defaults: (given) => ({
    ...changed(given, ['spec'], (spec) => withDefaults(spec, { enableServiceLinks: true })),
    status: object(given, 'status'),
  }),
  gracePeriod: (given) => {
    const isOver = ['Succeeded', 'Failed'].includes(text(given, 'status', 'phase'));
    return text(given, 'spec', 'nodeName') === '' || isOver
      ? 0
      : count(given, 'spec', 'terminationGracePeriodSeconds');
  },
  prepare: (given, old, world) => {
    if (old !== undefined) return given;
    const spec = object(given, 'spec');
    const [node] = world.objects('/nodes');
    const account = text(spec, 'serviceAccountName') || 'default';
    const tolerations = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) => ({
      key,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    }));
    return {
      ...given,
      spec: {
        ...spec,
        // There is one node, so no scheduler has a choice.
        ...(node !== undefined && { nodeName: text(node, 'metadata', 'name') }),
        serviceAccountName: account,
        serviceAccount: account,
        tolerations: [...items(spec, 'tolerations'), ...tolerations],
        priority: 0,
        preemptionPolicy: 'PreemptLowerPriority',
      },
      status: { phase: 'Pending', qosClass: qosClass(spec) },
    };
  },
};

/** `Guaranteed` is not told apart: limits are not kept here. */
function qosClass(spec: JsonObject): string {
  const isNone = items(spec, 'containers').every((container) =>
    ['requests', 'limits'].every((part) => Object.keys(object(container, 'resources', part)).length === 0),
  );
  return isNone ? 'BestEffort' : 'Burstable';
}
