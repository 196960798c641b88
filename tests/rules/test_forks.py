"""Names of forks: one spelling each, and only where no rule tells."""

from keras_caffe_zoo.rules import forks, registry, rule_of, supported_layers


def test_a_type_with_a_rule_is_not_in_the_table_too():
    assert not [type_ for type_ in forks._FORK_OF_TYPE if rule_of(type_) is not None]


def test_types_and_fields_stand_in_one_forks_list():
    for table, found in (
        (forks._TYPES, forks._FORK_OF_TYPE),
        (forks._FIELDS, forks._FORK_OF_FIELD),
    ):
        assert sum(len(text.split()) for text in table.values()) == len(found)


def test_modules_of_python_layers_are_of_their_rules_fork():
    rules = registry._BY_TYPE.items()
    python = {x: rule for x, rule in rules if "." in x and registry._is_ours(rule)}
    fork_of = {type_.partition(".")[0]: rule.fork for type_, rule in python.items()}
    assert set(fork_of.items()) <= set(forks._MODULES.items())


def test_the_rules_fork_is_the_types():
    for type_, fork in supported_layers().items():
        assert forks.fork_of_type(type_) == ("" if fork == "Caffe 1.0" else fork)


def test_fields_below_a_forks_message_are_its_own():
    assert forks.fork_of_field("transform_param.resize_param.prob") == "SSD"
    assert forks.fork_of_field("pooling_param.kernel_size") == ""
    assert forks.fork_of_type("Convolution") == forks.fork_of_type("Mystery") == ""
    assert forks.fork_of_type("rpn.proposal_target_layer.X") == "Faster R-CNN"
