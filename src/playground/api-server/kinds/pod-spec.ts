import { isJsonArray } from '../fields/json.ts';
import { isJsonObject, type FieldError, type Json, type JsonObject } from '../kind.ts';
import { nameProblems } from '../metadata.ts';
import { parseQuantity } from '../schema/quantity.ts';
import {
  at,
  changed,
  count,
  duplicate,
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

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

/** A pod's spec with what Kubernetes fills in, in a pod or in a template of pods. */
export function defaultedPodSpec(spec: Json): JsonObject {
  const withContainers = ['containers', 'initContainers'].reduce(
    (done, name) => changed(done, [name], mapItems(defaultedContainer)),
    withDefaults(spec, {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      securityContext: {},
      schedulerName: 'default-scheduler',
    }),
  );
  const { serviceAccountName } = withContainers;
  const account = serviceAccountName ?? withContainers['serviceAccount'];
  const accounts = account === undefined ? {} : { serviceAccountName: account, serviceAccount: account };
  return changed({ ...withContainers, ...accounts }, ['volumes'], mapItems(defaultedVolume));
}

function defaultedContainer(container: JsonObject): JsonObject {
  const image = text(container, 'image');
  const tag = /:([^/:]+)$/.exec(image.split('@')[0] ?? '')?.[1] ?? 'latest';
  const isLatest = tag === 'latest' && !image.includes('@');
  const filled = withDefaults(container, {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest ? 'Always' : 'IfNotPresent',
  });
  const withProbes = PROBES.reduce((done, name) => changed(done, [name], defaultedProbe), filled);
  const hooks = ['postStart', 'preStop'].reduce(
    (done, name) => changed(done, ['lifecycle', name, 'httpGet'], defaultedGet),
    withProbes,
  );
  const env = changed(
    hooks,
    ['env'],
    mapItems((entry) => changed(entry, ['valueFrom', 'fieldRef'], fieldRef)),
  );
  // Go writes both ways of a limit: what may be used at most is also set aside.
  return env;
}

const fieldRef = (reference: Json): JsonObject => withDefaults(reference, { apiVersion: 'v1' });
const defaultedGet = (action: Json): JsonObject => withDefaults(action, { path: '/', scheme: 'HTTP' });

function defaultedProbe(probe: Json): JsonObject {
  const filled = withDefaults(probe, {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  return changed(filled, ['httpGet'], defaultedGet);
}

function defaultedVolume(volume: JsonObject): JsonObject {
  const mode = (source: Json) => withDefaults(source, { defaultMode: 0o644 });
  const filled = Object.keys(volume).length > 1 ? volume : { ...volume, emptyDir: {} };
  const withModes = ['configMap', 'secret', 'downwardAPI', 'projected'].reduce(
    (done, name) => changed(done, [name], mode),
    filled,
  );
  const token = (source: Json) => withDefaults(source, { expirationSeconds: 3600 });
  return changed(
    changed(
      withModes,
      ['projected', 'sources'],
      mapItems((source) => changed(source, ['serviceAccountToken'], token)),
    ),
    ['hostPath'],
    (source) => withDefaults(source, { type: '' }),
  );
}

function mapItems(change: (item: JsonObject) => JsonObject): (list: Json) => Json {
  return (list) =>
    isJsonArray(list) ? list.map((item) => (isJsonObject(item) ? change(item) : item)) : list;
}

/** What is wrong with a pod's spec; `path` is where it is. */
export function podSpecErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const volumes = items(spec, 'volumes');
  const names = volumes.map((volume) => text(volume, 'name'));
  const containers = items(spec, 'containers');
  const all = ['containers', 'initContainers'].flatMap((list) =>
    items(spec, list).map((container, index) => [container, `${path}.${list}[${index}]`] as const),
  );
  return [
    ...volumes.flatMap((volume, index) =>
      // One that is wrong in itself is not there for the others.
      volumeErrors(
        volume,
        Object.keys(volumes[index - 1] ?? {}).length > 2 ? [] : names.slice(0, index),
        `${path}.volumes[${index}]`,
      ),
    ),
    ...(containers.length === 0 ? [required(`${path}.containers`)] : []),
    ...all.flatMap(([container, place], index) => [
      ...containerErrors(container, names, place),
      ...(all.slice(0, index).some(([other]) => text(other, 'name') === text(container, 'name'))
        ? [{ type: 'Duplicate', path: `${place}.name`, value: text(container, 'name'), detail: '' } as const]
        : []),
    ]),
    ...notOneOf(`${path}.restartPolicy`, spec['restartPolicy'], ['Always', 'OnFailure', 'Never']),
    ...notOneOf(`${path}.dnsPolicy`, spec['dnsPolicy'], [
      'ClusterFirstWithHostNet',
      'ClusterFirst',
      'Default',
      'None',
    ]),
  ];
}

const label = (value: string, path: string): readonly FieldError[] =>
  nameProblems('label', value).map((detail) => invalidValue(path, value, detail));

function volumeErrors(volume: JsonObject, before: readonly string[], path: string): readonly FieldError[] {
  const { name, ...sources } = volume;
  const shown = text(name);
  const [, ...more] = Object.keys(sources);
  return [
    ...(shown === '' ? [required(`${path}.name`)] : label(shown, `${path}.name`)),
    ...(before.includes(shown) && shown !== '' ? [duplicate(`${path}.name`, shown)] : []),
    ...more.map((source) => forbiddenField(`${path}.${source}`, 'may not specify more than 1 volume type')),
    ...(volume['persistentVolumeClaim'] !== undefined &&
    text(volume, 'persistentVolumeClaim', 'claimName') === ''
      ? [required(`${path}.persistentVolumeClaim.claimName`)]
      : []),
    ...(volume['secret'] !== undefined && text(volume, 'secret', 'secretName') === ''
      ? [required(`${path}.secret.secretName`)]
      : []),
  ];
}

function containerErrors(
  container: JsonObject,
  volumes: readonly string[],
  path: string,
): readonly FieldError[] {
  const name = text(container, 'name');
  const mounts = items(container, 'volumeMounts');
  return [
    ...(name === '' ? [required(`${path}.name`)] : label(name, `${path}.name`)),
    ...(text(container, 'image') === '' ? [required(`${path}.image`)] : []),
    ...notOneOf(`${path}.terminationMessagePolicy`, container['terminationMessagePolicy'], [
      'File',
      'FallbackToLogsOnError',
    ]),
    ...notOneOf(`${path}.imagePullPolicy`, container['imagePullPolicy'], ['Always', 'IfNotPresent', 'Never']),
    ...portErrors(container, path),
    ...items(container, 'env').flatMap((entry, index) => envErrors(entry, `${path}.env[${index}]`)),
    ...mounts.flatMap((mount, index) => [
      ...(volumes.includes(text(mount, 'name'))
        ? []
        : [
            {
              type: 'NotFound',
              path: `${path}.volumeMounts[${index}].name`,
              value: text(mount, 'name'),
              detail: '',
            } as const,
          ]),
      ...(text(mount, 'mountPath') === '' ? [required(`${path}.volumeMounts[${index}].mountPath`)] : []),
      ...(mounts.slice(0, index).some((other) => other['mountPath'] === mount['mountPath'])
        ? [
            invalidValue(
              `${path}.volumeMounts[${index}].mountPath`,
              text(mount, 'mountPath'),
              'must be unique',
            ),
          ]
        : []),
    ]),
    ...resourceErrors(container, `${path}.resources`),
    ...PROBES.flatMap((probe) =>
      [
        'initialDelaySeconds',
        'timeoutSeconds',
        'periodSeconds',
        'successThreshold',
        'failureThreshold',
      ].flatMap((key) => negative(`${path}.${probe}.${key}`, at(container, probe, key))),
    ),
  ];
}

function portErrors(container: JsonObject, path: string): readonly FieldError[] {
  return items(container, 'ports').flatMap((port, index) => {
    const place = `${path}.ports[${index}]`;
    const name = text(port, 'name');
    const number = count(port, 'containerPort');
    return [
      ...(name === ''
        ? []
        : portNameProblems(name).map((detail) => invalidValue(`${place}.name`, name, detail))),
      ...(number === 0
        ? [required(`${place}.containerPort`)]
        : portNumberErrors(`${place}.containerPort`, number)),
      ...notOneOf(`${place}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']),
    ];
  });
}

export function portNumberErrors(path: string, value: Json): readonly FieldError[] {
  if (typeof value === 'number' && value >= 1 && value <= 65535) return [];
  return [invalidValue(path, value, 'must be between 1 and 65535, inclusive')];
}

function portNameProblems(name: string): readonly string[] {
  return [
    ...(name.length > 15 ? ['must be no more than 15 characters'] : []),
    ...(/^[-a-z0-9]*$/.test(name)
      ? []
      : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
    ...(/[a-z]/.test(name) ? [] : ['must contain at least one letter (a-z)']),
  ];
}

const ENV_FIELDS =
  /^(metadata\.(name|namespace|uid|annotations(\['.*'\])?|labels(\['.*'\])?)|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?))$/;

function envErrors(entry: JsonObject, path: string): readonly FieldError[] {
  const fieldPath = text(entry, 'valueFrom', 'fieldRef', 'fieldPath');
  return [
    ...(text(entry, 'name') === '' ? [required(`${path}.name`)] : []),
    ...(fieldPath === '' || ENV_FIELDS.test(fieldPath)
      ? []
      : [
          invalidValue(
            `${path}.valueFrom.fieldRef.fieldPath`,
            fieldPath,
            `error converting fieldPath: field label not supported: ${fieldPath}`,
          ),
        ]),
    ...(entry['valueFrom'] !== undefined && text(entry, 'value') !== ''
      ? [invalidValue(`${path}.valueFrom`, '', 'may not be specified when `value` is not empty')]
      : []),
  ];
}

function resourceErrors(container: JsonObject, path: string): readonly FieldError[] {
  const limits = object(container, 'resources', 'limits');
  return Object.entries(object(container, 'resources', 'requests')).flatMap(([resource, request]) => {
    const limit = limits[resource];
    const isAbove = limit !== undefined && (nanos(request) ?? 0n) > (nanos(limit) ?? 0n);
    const detail = `must be less than or equal to ${resource} limit of ${text(limit)}`;
    return isAbove ? [invalidValue(`${path}.requests`, request, detail)] : [];
  });
}

const nanos = (quantity: Json): bigint | undefined => parseQuantity(text(quantity));
