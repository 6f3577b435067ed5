import { fieldOf, jsonEqual, withFields } from '../fields/json.ts';
import type { FieldError, JsonObject, Kind } from '../kind.ts';
import { labelErrors } from '../metadata.ts';
import { forbidden } from '../status-error.ts';
import { defaultedPodSpec, podSpecErrors } from './pod-spec.ts';
import {
  at,
  changed,
  changeText,
  count,
  forbiddenField,
  invalidValue,
  items,
  negative,
  notOneOf,
  object,
  required,
  text,
  withDefaults,
} from './read.ts';

/** Whether the labels of a template are what a selector asks for. */
function selects(selector: JsonObject, labels: JsonObject): boolean {
  return Object.entries(object(selector, 'matchLabels')).every(([key, value]) => labels[key] === value);
}

function templateErrors(spec: JsonObject): readonly FieldError[] {
  return [
    ...labelErrors(at(spec, 'template', 'metadata', 'labels'), 'spec.template.labels'),
    ...podSpecErrors(object(spec, 'template', 'spec'), 'spec.template.spec'),
  ];
}

export const deployment: Partial<Kind> = {
  defaults: (given) =>
    changed(given, ['spec'], (spec) => {
      const filled = withDefaults(spec, {
        replicas: 1,
        strategy: {},
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
      });
      const strategy = withDefaults(object(filled, 'strategy'), { type: 'RollingUpdate' });
      const rolling = withDefaults(object(strategy, 'rollingUpdate'), {
        maxUnavailable: '25%',
        maxSurge: '25%',
      });
      const isRolling = strategy['type'] === 'RollingUpdate';
      const complete = {
        ...filled,
        strategy: isRolling ? { ...strategy, rollingUpdate: rolling } : strategy,
      };
      return changed(complete, ['template', 'spec'], defaultedPodSpec);
    }),
  validate: (given, old) => {
    const spec = object(given, 'spec');
    const selector = object(spec, 'selector');
    const strategy = object(spec, 'strategy');
    const labels = at(spec, 'template', 'metadata', 'labels');
    const isEmpty = Object.keys(selector).length === 0;
    const [unavailable, surge] = ['maxUnavailable', 'maxSurge'].map((key) =>
      at(strategy, 'rollingUpdate', key),
    );
    return [
      ...(old !== undefined && !jsonEqual(at(old, 'spec', 'selector'), selector)
        ? [invalidValue('spec.selector', selector, 'field is immutable')]
        : []),
      ...negative('spec.replicas', spec['replicas']),
      ...negative('spec.minReadySeconds', spec['minReadySeconds']),
      ...negative('spec.revisionHistoryLimit', spec['revisionHistoryLimit']),
      ...(spec['selector'] === undefined ? [required('spec.selector')] : []),
      ...(spec['selector'] !== undefined && isEmpty
        ? [invalidValue('spec.selector', selector, 'empty selector is invalid for deployment')]
        : []),
      ...(isEmpty || !selects(selector, object(labels))
        ? [
            invalidValue(
              'spec.template.metadata.labels',
              labels ?? null,
              '`selector` does not match template `labels`',
            ),
          ]
        : []),
      ...templateErrors(spec),
      ...notOneOf('spec.template.spec.restartPolicy', at(spec, 'template', 'spec', 'restartPolicy'), [
        'Always',
      ]),
      ...notOneOf('spec.strategy.type', strategy['type'], ['Recreate', 'RollingUpdate']),
      ...(strategy['type'] === 'Recreate' && strategy['rollingUpdate'] !== undefined
        ? [
            forbiddenField(
              'spec.strategy.rollingUpdate',
              "may not be specified when strategy `type` is 'Recreate'",
            ),
          ]
        : []),
      ...([0, '0%'].includes(valueOf(unavailable)) && [0, '0%'].includes(valueOf(surge))
        ? [
            invalidValue(
              'spec.strategy.rollingUpdate.maxUnavailable',
              valueOf(unavailable),
              'may not be 0 when `maxSurge` is 0',
            ),
          ]
        : []),
    ];
  },
};

const valueOf = (value: unknown): string | number =>
  typeof value === 'number' || typeof value === 'string' ? value : '';

export const job: Partial<Kind> = {
  orphansByDefault: true,
  selectable: {
    'status.successful': (given) => String(count(given, 'status', 'succeeded')),
  },
  defaults: (given) => {
    const labels = at(given, 'spec', 'template', 'metadata', 'labels');
    const labelled = changed(given, ['metadata'], (metadata) => withDefaults(metadata, { labels }));
    return changed(labelled, ['spec'], (spec) => {
      const isPlain =
        fieldOf(spec, 'completions') === undefined && fieldOf(spec, 'parallelism') === undefined;
      const filled = withDefaults(spec, {
        completions: isPlain ? 1 : undefined,
        parallelism: 1,
        backoffLimit: fieldOf(spec, 'backoffLimitPerIndex') === undefined ? 6 : 0x7fffffff,
        completionMode: 'NonIndexed',
        suspend: false,
        manualSelector: false,
        podReplacementPolicy:
          fieldOf(spec, 'podFailurePolicy') === undefined ? 'TerminatingOrFailed' : 'Failed',
      });
      return changed(filled, ['template', 'spec'], (pod) => {
        const policy = fieldOf(pod, 'restartPolicy');
        // Unlike other pods, those of a Job must say it.
        return withFields(defaultedPodSpec(pod), { restartPolicy: policy });
      });
    });
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
    const labelled = changed(given, ['spec', 'template', 'metadata'], (metadata) => ({
      ...object(metadata),
      labels: { ...object(metadata, 'labels'), ...own },
    }));
    const selected = changed(labelled, ['spec'], (spec) => ({
      ...object(spec),
      selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } },
    }));
    const labels = at(given, 'metadata', 'labels');
    // Labels that came from the template are one with those, in Kubernetes too.
    return jsonEqual(labels, at(given, 'spec', 'template', 'metadata', 'labels'))
      ? changed(selected, ['metadata'], (metadata) => ({
          ...object(metadata),
          labels: { ...object(labels), ...own },
        }))
      : selected;
  },
  validate: (given, old) => {
    const spec = object(given, 'spec');
    const policy = text(spec, 'template', 'spec', 'restartPolicy');
    const numbers = [
      'parallelism',
      'completions',
      'activeDeadlineSeconds',
      'backoffLimit',
      'ttlSecondsAfterFinished',
    ];
    const before = old && object(old, 'spec');
    return [
      ...numbers.flatMap((key) => negative(`spec.${key}`, spec[key])),
      ...templateErrors(spec),
      ...(policy === '' || policy === 'Always'
        ? [required('spec.template.spec.restartPolicy', 'valid values: "OnFailure", "Never"')]
        : []),
      ...(before === undefined
        ? []
        : ['completions', 'selector', 'template', 'completionMode'].flatMap((key) =>
            jsonEqual(before[key], spec[key])
              ? []
              : [invalidValue(`spec.${key}`, spec[key] ?? null, 'field is immutable')],
          )),
    ];
  },
};

export const pod: Partial<Kind> = {
  returnsDeleted: true,
  selectable: Object.fromEntries(
    [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'status.phase',
      'status.podIP',
    ].map((path) => [path, (given: JsonObject) => text(given, ...path.split('.'))]),
  ),
  defaults: (given) => {
    const filled = changed(given, ['spec'], (spec) => {
      const limited = (container: JsonObject): JsonObject => {
        const limits = object(container, 'resources', 'limits');
        if (Object.keys(limits).length === 0) return container;
        return changed(container, ['resources'], (resources) => ({
          ...object(resources),
          requests: { ...limits, ...object(resources, 'requests') },
        }));
      };
      return changed(
        defaultedPodSpec(withDefaults(spec, { enableServiceLinks: true })),
        ['containers'],
        (list) => items(list).map(limited),
      );
    });
    return withFields(filled, { status: { ...object(filled, 'status') } });
  },
  gracePeriod: (given) => {
    const isOver = ['Succeeded', 'Failed'].includes(text(given, 'status', 'phase'));
    return text(given, 'spec', 'nodeName') === '' || isOver
      ? 0
      : count(given, 'spec', 'terminationGracePeriodSeconds');
  },
  prepare: (given, old, world) => {
    if (old !== undefined) return given;
    const spec = object(given, 'spec');
    const account = text(spec, 'serviceAccountName') || 'default';
    const namespace = text(given, 'metadata', 'namespace');
    if (!world.objects('/serviceaccounts').some((other) => isNamed(other, namespace, account))) {
      const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
      throw forbidden({ group: '', plural: 'pods' }, text(given, 'metadata', 'name'), why);
    }
    const toleration = (key: string) => ({
      key,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    });
    const missing = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].filter(
      (key) =>
        !items(spec, 'tolerations').some((other) => other['key'] === key || other['key'] === undefined),
    );
    return {
      ...given,
      spec: {
        ...spec,
        serviceAccountName: account,
        serviceAccount: account,
        tolerations: [...items(spec, 'tolerations'), ...missing.map(toleration)],
        priority: 0,
        preemptionPolicy: 'PreemptLowerPriority',
      },
      status: { phase: 'Pending', qosClass: qosClass(spec) },
    };
  },
  validate: (given, old) => {
    const spec = object(given, 'spec');
    if (old === undefined) return podSpecErrors(spec, 'spec');
    return jsonEqual(fixed(spec), fixed(object(old, 'spec')))
      ? []
      : [forbiddenField('spec', `${IMMUTABLE_SPEC}\n${changeText(object(old, 'spec'), spec)}`)];
  },
};

const isNamed = (given: JsonObject, namespace: string, name: string): boolean =>
  text(given, 'metadata', 'namespace') === namespace && text(given, 'metadata', 'name') === name;

const IMMUTABLE_SPEC =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What of a pod's spec no update may change. */
function fixed(spec: JsonObject): JsonObject {
  const withoutImages = ['containers', 'initContainers'].reduce(
    (done, list) =>
      changed(done, [list], (found) => items(found).map((container) => withFields(container, { image: '' }))),
    spec,
  );
  return withFields(withoutImages, {
    activeDeadlineSeconds: undefined,
    tolerations: undefined,
  });
}

function qosClass(spec: JsonObject): string {
  const resources = items(spec, 'containers').map((container) => object(container, 'resources'));
  const isNone = resources.every((of) =>
    [of['requests'], of['limits']].every((part) => Object.keys(object(part)).length === 0),
  );
  if (isNone) return 'BestEffort';
  const isGuaranteed = resources.every(
    (of) =>
      ['cpu', 'memory'].every((name) => at(of, 'limits', name) !== undefined) &&
      jsonEqual(of['limits'], of['requests']),
  );
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}
