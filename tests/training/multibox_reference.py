"""SSD's loss box by box, with its gradients: an independent reading of its fork."""

import math

import numpy as np

FLT_MIN = 2.0**-126
DEFAULTS = {
    "share_location": True,
    "match_type": "per_prediction",
    "overlap_threshold": 0.5,
    "use_prior_for_matching": True,
    "background_label_id": 0,
    "use_difficult_gt": True,
    "mining_type": "max_negative",
    "neg_pos_ratio": 3.0,
    "neg_overlap": 0.5,
    "sample_size": 64,
    "nms_threshold": None,
    "nms_top_k": None,
    "use_prior_for_nms": False,
    "code_type": "corner",
    "encode_variance_in_target": False,
    "ignore_cross_boundary_bbox": False,
    "bp_inside": False,
    "map_object_to_agnostic": False,
    "loc_loss_type": "smooth_l1",
    "conf_loss_type": "softmax",
    "loc_weight": 1.0,
    "normalization": "valid",
}


def area(box):
    if box[2] < box[0] or box[3] < box[1]:
        return 0.0
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (area(a) + area(b) - width * height)


def sides(prior):
    return prior[2] - prior[0], prior[3] - prior[1]


def encoded(prior, box, code):
    w, h = sides(prior)
    if code == "corner":
        return [b - p for b, p in zip(box, prior, strict=True)]
    if code == "corner_size":
        by = (w, h, w, h)
        return [(b - p) / s for b, p, s in zip(box, prior, by, strict=True)]
    x, y = ((box[i] + box[i + 2] - prior[i] - prior[i + 2]) / 2 for i in (0, 1))
    wide, high = sides(box)
    return [x / w, y / h, math.log(wide / w), math.log(high / h)]


def decoded(prior, offsets, code):
    w, h = sides(prior)
    if code == "corner":
        return [p + o for p, o in zip(prior, offsets, strict=True)]
    if code == "corner_size":
        by = (w, h, w, h)
        return [p + o * s for p, o, s in zip(prior, offsets, by, strict=True)]
    x = (prior[0] + prior[2]) / 2 + offsets[0] * w
    y = (prior[1] + prior[3]) / 2 + offsets[1] * h
    w, h = math.exp(offsets[2]) * w / 2, math.exp(offsets[3]) * h / 2
    return [x - w, y - h, x + w, y + h]


def matches(boxes, objects, o):
    """Return the object of each box, -1 or -2, and its largest overlap."""
    found, most = [-1] * len(boxes), [0.0] * len(boxes)
    if not objects:
        return found, most
    pairs = {}
    for i, box in enumerate(boxes):
        if o["ignore_cross_boundary_bbox"] and any(v < 0 or v > 1 for v in box):
            found[i] = -2
            continue
        for j, (_, corners) in objects.items():
            value = overlap(box, corners)
            if value > 1e-6:
                most[i] = max(most[i], value)
                pairs[i, j] = value
    left = set(objects)
    while True:
        open_ = [(-v, i, j) for (i, j), v in pairs.items() if j in left]
        open_ = [pair for pair in open_ if found[pair[1]] == -1]
        if not open_:
            break
        _, i, j = min(open_)
        found[i] = j
        left.remove(j)
    if o["match_type"] == "per_prediction":
        for i in range(len(boxes)):
            near = [(-pairs[i, j], j) for j in objects if (i, j) in pairs]
            near = [pair for pair in near if -pair[0] >= o["overlap_threshold"]]
            if found[i] == -1 and near:
                found[i] = min(near)[1]
    return found, most


def score_loss(scores, targets, o):
    """Return the loss of scores and its gradient; targets have a 1 at the class."""
    if o["conf_loss_type"] == "softmax":
        powers = [math.exp(s - max(scores)) for s in scores]
        p = [power / sum(powers) for power in powers]
        label = targets.index(1.0)
        loss = -math.log(max(p[label], FLT_MIN))
        return loss, [v - (k == label) for k, v in enumerate(p)]
    loss, slope = 0.0, []
    for s, t in zip(scores, targets, strict=True):
        loss -= s * (t - (s >= 0)) - math.log(1 + math.exp(s - 2 * s * (s >= 0)))
        slope.append(1 / (1 + math.exp(-s)) - t)
    return loss, slope


def side_loss(difference, o):
    if o["loc_loss_type"] == "l2" or abs(difference) < 1:
        return difference**2 / 2, difference
    return abs(difference) - 0.5, math.copysign(1.0, difference)


def offset_loss(offsets, prior, variance, box, o):
    """Return the loss of four offsets and its gradient as the fork has it."""
    total, slope = 0.0, []
    wanted = encoded(prior, box, o["code_type"])
    sides = prior
    if not o["use_prior_for_matching"]:
        sides = predicted(offsets, prior, variance, o)
    for k in range(4):
        target = wanted[k] / variance[k]
        given = offsets[k]
        if o["encode_variance_in_target"]:
            given = given / variance[k]
        if o["bp_inside"] and not 0 <= sides[k] <= 1:
            given = target
        loss, gradient = side_loss(given - target, o)
        total += loss
        slope.append(gradient)
    return total, slope


def predicted(offsets, prior, variance, o):
    if not o["encode_variance_in_target"]:
        offsets = [x * v for x, v in zip(offsets, variance, strict=True)]
    return decoded(prior, offsets, o["code_type"])


def objects_of(rows, o):
    found = {}
    for j, row in enumerate(rows):
        label = int(row[1])
        absent = row[0] < 0 or label < 0 or label == o["background_label_id"]
        if absent or (row[7] and not o["use_difficult_gt"]):
            continue
        found[j] = label, [float(v) for v in row[3:7]]
    return found


def image_matches(offsets, priors, variances, objects, o):
    """Return found and most for each class that has offsets of its own."""
    if o["use_prior_for_matching"]:
        found, most = matches(priors, objects, o)
        if o["share_location"]:
            return {0: (found, most)}
        of_class = {}
        for c in range(offsets.shape[1]):
            own = [j if j >= 0 and objects[j][0] == c else -1 for j in found]
            of_class[c] = own, most
        return of_class
    of_class = {}
    for c in range(offsets.shape[1]):
        boxes = [
            predicted(offsets[i, c].tolist(), priors[i], variances[i], o)
            for i in range(len(priors))
        ]
        own = {j: x for j, x in objects.items() if o["share_location"] or x[0] == c}
        of_class[c] = matches(boxes, own, o)
    return of_class


def one_hot(label, classes, others=0.0):
    return [1.0 if k == label else float(others) for k in range(classes)]


def suppressed(order, boxes, o):
    """Return what non-maximum suppression leaves of an order of boxes."""
    if o["nms_top_k"] is not None:
        order = order[: o["nms_top_k"]]
    kept = []
    for i in order:
        if area(boxes[i]) < 1e-5:
            continue
        if all(overlap(boxes[i], boxes[k]) <= o["nms_threshold"] for k in kept):
            kept.append(i)
    return kept


def mined(found, most, costs, boxes, o):
    """Return which priors keep their objects, and which learn that there is none."""
    if o["mining_type"] == "max_negative":
        eligible = [
            i for i, j in enumerate(found) if j == -1 and most[i] < o["neg_overlap"]
        ]
        count = int(sum(j >= 0 for j in found) * o["neg_pos_ratio"])
    else:
        eligible, count = list(range(len(found))), o["sample_size"]
    order = sorted(eligible, key=lambda i: -costs[i])
    if o["nms_threshold"] is not None:
        order = suppressed(order, boxes, o)
    chosen = set(order[: max(count, 0)])
    positive = [i for i, j in enumerate(found) if j >= 0]
    if o["mining_type"] == "hard_example":
        positive = [i for i in positive if i in chosen]
    return positive, [i for i in sorted(chosen) if found[i] == -1]


def reference(rows, offsets, scores, priors, variances, **options):
    """Return the loss, and its gradients at offsets and scores.

    Args:
        rows: (N, G, 8).
        offsets: (N, R, 1 or classes, 4).
        scores: (N, R, classes).
        priors: (R, 4).
        variances: (R, 4).
    """
    o = {**DEFAULTS, **options}
    items, count, classes = scores.shape
    background = o["background_label_id"]
    d_offsets, d_scores = np.zeros(offsets.shape), np.zeros(scores.shape)
    total, positives = 0.0, 0
    mining = o["mining_type"] != "none"
    unmined = np.full(items * count * classes, float(background))
    labels = np.full((items, count), background)
    priors, variances = priors.tolist(), variances.tolist()
    for n in range(items):
        objects = objects_of(rows[n], o)
        if not objects:
            continue
        of_class = image_matches(offsets[n], priors, variances, objects, o)

        def of_offset(i, c, j, n=n, objects=objects):
            own = offsets[n, i, c].tolist()
            return offset_loss(own, priors[i], variances[i], objects[j][1], o)

        for c, (found, most) in of_class.items():
            positive = [i for i, j in enumerate(found) if j >= 0]
            if mining:
                costs, slopes = [], []
                for i, j in enumerate(found):
                    label = objects[j][0] if j >= 0 else background
                    own = scores[n, i].tolist()
                    cost, _ = score_loss(own, one_hot(label, classes), o)
                    if o["mining_type"] == "hard_example" and j >= 0:
                        cost += of_offset(i, c, j)[0]
                    costs.append(cost)
                    targets = one_hot(label, classes, background)
                    slopes.append(score_loss(own, targets, o))
                boxes = priors
                if not o["use_prior_for_nms"]:
                    boxes = [
                        predicted(offsets[n, i, c].tolist(), prior, variances[i], o)
                        for i, prior in enumerate(priors)
                    ]
                positive, negative = mined(found, most, costs, boxes, o)
                for i in positive + negative:
                    total += slopes[i][0]
                    d_scores[n, i] += slopes[i][1]
            for i in positive:
                loss, slope = of_offset(i, c, found[i])
                total += o["loc_weight"] * loss
                d_offsets[n, i, c] += o["loc_weight"] * np.array(slope)
                label = 1 if o["map_object_to_agnostic"] else objects[found[i]][0]
                labels[n, i] = label
                # The fork's place, which is right for the first item only.
                unmined[n * count + i * classes + label] = 1
            positives += len(positive)
    if not mining:
        unmined = unmined.reshape(items, count, classes)
        for n, i in np.ndindex(items, count):
            targets = unmined[n, i].tolist()
            if o["conf_loss_type"] == "softmax":
                targets = one_hot(labels[n, i], classes)
            loss, slope = score_loss(scores[n, i].tolist(), targets, o)
            total += loss
            d_scores[n, i] += slope
    sizes = {"valid": positives, "full": items * count, "batch_size": items, "none": 1}
    by = max(sizes[o["normalization"]], 1)
    return total / by, d_offsets / by, d_scores / by
