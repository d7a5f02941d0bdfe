"""Batch norm with random statistics, for the tests of folding."""

from torch import nn


def randomise_norms(network):
    """Give each batch norm random statistics and weights, without which folding changes nothing."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network
