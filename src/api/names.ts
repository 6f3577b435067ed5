/** Names that users and other programs see in Kubernetes. Changing one breaks what they wrote. */

export const GROUP = 'stevedore.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** `kubectl get stevedore` lists every kind of ours. */
export const CATEGORY = 'stevedore';

/** Who wrote a field, in `metadata.managedFields`. */
export const FIELD_MANAGER = 'stevedore';

/**
 * A Secret whose content a resource may send out or copy carries this label: whoever may create a Registry is not
 * thereby allowed to read every Secret of the namespace through it.
 */
export const USE_LABEL = 'stevedore.dev/use';
export const USE_CREDENTIALS = 'credentials';

/** On a RegistryGC: a new value starts a run now, once. Any text; the time is the usual one. */
export const RUN_AT_ANNOTATION = 'stevedore.dev/run-at';

/** The Registry or RegistryMirror that a child belongs to, and the RegistryGC that a Job belongs to. */
export const REGISTRY_LABEL = 'stevedore.dev/registry';
export const REGISTRY_MIRROR_LABEL = 'stevedore.dev/registry-mirror';
export const REGISTRY_GC_LABEL = 'stevedore.dev/registry-gc';

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */
export const NAME_LABEL = 'app.kubernetes.io/name';
export const INSTANCE_LABEL = 'app.kubernetes.io/instance';
export const COMPONENT_LABEL = 'app.kubernetes.io/component';
export const PART_OF_LABEL = 'app.kubernetes.io/part-of';
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const PROGRAM = 'stevedore';
